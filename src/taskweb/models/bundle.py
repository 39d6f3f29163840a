"""Trained models as folders that others can open.

| layout | for | what |
|---|---|---|
| plain | full fine-tuning, BitFit where it added nothing, merged LoRA | the library's model folder, heads included |
| peft | LoRA | an adapter folder of PEFT: what was trained, and a reference to the base |
| taskweb | adapters, BitFit with added biases, heads of our own | what was trained and a reference; other tools refuse it |

`taskweb.json` is the record (see `bundle_record`), `README.md` the model card. A base that stands nowhere else (random weights)
is stored in the folder's `base`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from taskweb.errors import InputError, ParameterError
from taskweb.models.base import TaskModel
from taskweb.models.bundle_format_1 import open_format_1
from taskweb.models.bundle_record import BaseReference, Layout, Record, record_of
from taskweb.models.encoder_head import EncoderWithHead
from taskweb.models.fingerprints import fingerprint_of_folder
from taskweb.models.head import Head
from taskweb.models.loading import (
    RECORD,
    Checkpoint,
    assembled,
    check_own_head,
    check_weights,
    folder_of,
    local_folder,
    read_checkpoint,
)
from taskweb.models.methods.trainable import claim, train_only
from taskweb.models.model_card import TrainingFacts, card_of
from taskweb.models.peft_folder import (
    PeftAdapter,
    attach_peft,
    base_of,
    has_peft_layout,
    is_peft_folder,
    outputs_of_head,
    peft_config_of,
    write_peft,
)
from taskweb.models.plain_model import (
    is_added,
    merged_state,
    refuse_quantized,
    unadapted_state,
    whole_state,
    write_body,
    write_plain,
)
from taskweb.models.taskweb_folder import base_is_trained, fill_taskweb, write_taskweb
from taskweb.models.twin import twin_of
from taskweb.models.weight_storage import Weights
from taskweb.tasks.atomic import whole_folder
from taskweb.tasks.text_settings import TextSettings

CARD = "README.md"
BASE = "base"
_FAMILY_OF_ADAPTER = {"CAUSAL_LM": "causal", "SEQ_2_SEQ_LM": "seq2seq"}  # what PEFT calls tasks


def save_bundle(
    model: TaskModel,
    folder: str | Path,
    *,
    notes: Mapping[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    files: Mapping[str, str] | None = None,
    merge: bool = False,
    facts: TrainingFacts | None = None,
) -> None:
    """Write the model to a folder, whole or not at all; a bundle that is there already is replaced in one step.

    notes: any JSON values, such as how the model was trained. weights: tensors that stand for the model's own of the
    same names, where its own are split among processes. files: texts of further files, by name. merge: write a whole model with
    LoRA's updates in its weights. facts: what the model card says of the training.
    Raises InputError where the folder exists and is not a bundle, or cannot be written, and as `check_saving` does.
    """
    place = Path(folder)
    check_saving(model, place, merge=merge)
    layout = layout_of(model, merge=merge)
    base = None if layout == "plain" else _base_of(model, place)
    state = whole_state(model, weights or {})
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(place, replace=(place / RECORD).is_file()) as temporary:
            if layout == "plain":
                write_plain(model, merged_state(model.module, state) if merge else state, temporary)
            elif layout == "peft":
                assert base is not None
                write_peft(model, state, base, temporary)
            else:
                write_taskweb(model, state, temporary)
            model.tokenizer.save_pretrained(temporary)
            if base is not None and base.inside:
                write_body(model, unadapted_state(state), temporary / BASE)
                model.tokenizer.save_pretrained(temporary / BASE)
                base = dataclasses.replace(base, fingerprint=fingerprint_of_folder(temporary / BASE))
            record = record_of(model, layout, base, notes, merged=merge)
            contents = {RECORD: json.dumps(record, indent=2) + "\n", CARD: card_of(record, place.name, facts), **(files or {})}
            for name, text in contents.items():
                (temporary / name).write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as fault:
        raise InputError(f"{place} cannot be written: {fault}.") from None


def check_saving(model: TaskModel, place: Path, *, merge: bool = False) -> None:
    """Raise where a model cannot be saved so, whatever its weights come to.

    ParameterError for a merge of anything but LoRA on a class of the library, and for quantized weights that would have to be
    written; InputError where an adapter would replace the base that it refers to.
    """
    if merge and (model.method is None or model.method.name != "lora"):
        raise ParameterError("Only LoRA can be merged into the weights. Leave --merge out, or train with --method lora.")
    if merge and isinstance(model.module, EncoderWithHead):
        raise ParameterError("The library has no class for this model with its head, so there is nothing to merge it into.")
    if layout_of(model, merge=merge) == "plain":
        refuse_quantized(model)
        return
    base = _base_of(model, place)
    if base.inside:
        refuse_quantized(model)
    elif place.resolve() in (folder := Path(base.name).resolve(), *folder.parents) and folder.is_dir():
        raise InputError(f"{place} contains the base that this adapter belongs to. Choose another folder.")


def layout_of(model: TaskModel, *, merge: bool = False) -> Layout:
    """In which layout a model is saved."""
    if merge or (base_is_trained(model) and not isinstance(model.module, EncoderWithHead)):
        return "plain"
    return "peft" if has_peft_layout(model) else "taskweb"


def _base_of(model: TaskModel, place: Path) -> BaseReference:
    """The base as the record of a folder names it."""
    origin = model.origin
    if origin.fingerprint is None or base_is_trained(model):
        return BaseReference(str(place.resolve() / BASE), inside=True)
    folder = local_folder(origin.name)
    return BaseReference(origin.name if folder is None else str(folder.resolve()), origin.revision, origin.fingerprint)


def check_folder(name: str) -> None:
    """Raise InputError for a folder without a model; nothing is said of a model on the Hub."""
    folder = local_folder(name)
    if folder is not None and not (folder / RECORD).is_file() and not is_peft_folder(folder):
        check_weights(folder, name)


def open_model(
    name: str | Path,
    head: Head | None = None,
    *,
    revision: str | None = None,
    seed: int = 0,
    text: TextSettings | None = None,
    family: str | None = None,
    weights: Weights | None = None,
) -> TaskModel:
    """The model in a bundle, in a folder in the layout of transformers or PEFT, or on the Hub; on the CPU.

    head: instead of the model's own (an encoder's is then drawn from `seed`, unless it is the same); an encoder without a
    trained head needs one. text: how examples are read; where it leaves that open, as when the model was saved. family,
    weights: as of `load_model`.
    Errors as of `load_model`, and InputError for a damaged record or an adapter that does not fit its base.
    """
    folder, _ = folder_of(str(name), revision)
    record = Record.read(folder / RECORD) if (folder / RECORD).is_file() else None
    if record is not None and record.format == 1:
        model = open_format_1(folder, str(name), record, text, seed)
    elif record is None and not is_peft_folder(folder):
        return assembled(
            read_checkpoint(str(name), revision, seed, head, family=family, weights=weights), head, seed=seed, text=text
        )
    elif record is not None and record.layout == "plain":
        model = _open_plain(str(name), revision, record, text, seed, weights)
    else:
        base = base_of(folder) if record is None else record.base
        assert base is not None
        shared = BaseWithAdapters(
            str(folder / BASE) if base.inside else base.name,
            base.revision,
            seed=seed,
            family=family or _family_of_adapter(folder, record),
            weights=weights,
            whose=folder,
        )
        model = shared.with_adapter(folder, text=text)
    if head is not None and head != model.head:
        model.set_head(head, seed=seed, carry=isinstance(model.method, PeftAdapter))  # those know no names of labels
    return model


def _open_plain(
    name: str, revision: str | None, record: Record, text: TextSettings | None, seed: int, weights: Weights | None
) -> TaskModel:
    checkpoint = read_checkpoint(name, revision, seed, record.head, family=record.family, weights=weights)
    model = assembled(checkpoint, record.head, seed=seed, text=record.text_with(text))
    if model.family == "encoder":
        check_own_head(model, checkpoint)
    if record.method is not None:
        record.method.apply(model, seed=seed)
    return model


class BaseWithAdapters:
    """A base that is read once, and the models that adapters make of it.

    name, revision: Hub id or folder. whose: the adapter folder that names this base, for messages.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        *,
        seed: int = 0,
        family: str | None = None,
        weights: Weights | None = None,
        whose: Path | None = None,
    ) -> None:
        self.seed, self.name = seed, name
        try:
            self.folder, _ = folder_of(name, revision)
            self._record = Record.read(self.folder / RECORD) if (self.folder / RECORD).is_file() else None
            if self._record is not None and self._record.layout == "plain":
                family = self._record.family
            self.checkpoint = read_checkpoint(name, revision, seed, family=family, weights=weights)
        except InputError as fault:
            if whose is None:
                raise
            raise InputError(f"The base of {whose} cannot be opened. {fault}") from None

    def alone(self, head: Head | None = None, *, text: TextSettings | None = None) -> TaskModel:
        """The base itself, unadapted. Raises ParameterError for an encoder without a head."""
        if self._record is None or head is not None:
            return assembled(self._twin(), head, seed=self.seed, text=text)
        if self._record.format == 1:  # heads have other names there
            return open_format_1(self.folder, self.name, self._record, text, self.seed)
        model = assembled(self._twin(), self._record.head, seed=self.seed, text=self._record.text_with(text))
        if model.family == "encoder":
            check_own_head(model, self.checkpoint)
        return model

    def with_adapter(self, folder: str | Path, *, text: TextSettings | None = None) -> TaskModel:
        """The base with an adapter, taskweb's or PEFT's. The base and the models of other adapters stay as they are.

        Raises InputError where the adapter belongs to another base, or is none.
        """
        place, _ = folder_of(str(folder), None)
        record = Record.read(place / RECORD) if (place / RECORD).is_file() else None
        if record is None and not is_peft_folder(place):
            raise InputError(f"{folder} is no adapter: it has neither adapter_config.json nor taskweb.json. Give an adapter.")
        if record is None:
            return self._with_foreign(place, text)
        if record.base is None:
            raise InputError(f"{folder} is a whole model, not an adapter. Evaluate it by itself.")
        self._check(folder, record.base)
        model = assembled(self._twin(), record.head, seed=self.seed, text=record.text_with(text))
        if record.layout == "taskweb":
            if record.method is not None:
                record.method.apply(model, seed=self.seed)
            fill_taskweb(model, place)
        else:
            assert record.method is not None
            model.module = attach_peft(model.module, place).eval()
            claim(model, record.method)
            train_only(model, is_added)
        if record.base.inside and not base_is_trained(model):
            model.origin = dataclasses.replace(record.origin, fingerprint=None)
        return model

    def _twin(self) -> Checkpoint:
        return dataclasses.replace(self.checkpoint, module=twin_of(self.checkpoint.module))

    def _check(self, folder: str | Path, base: BaseReference) -> None:
        own = self.checkpoint.origin.fingerprint
        if base.fingerprint is not None and base.fingerprint != own:
            named = base.name if base.revision is None else f"{base.name}, revision {base.revision}"
            raise InputError(
                f"{folder} was trained on other weights than those of {self.checkpoint.origin.name}. Give the model that it "
                f"belongs to: {named}."
            )

    def _with_foreign(self, place: Path, text: TextSettings | None) -> TaskModel:
        """With an adapter that another tool made."""
        config = peft_config_of(place)
        head = _foreign_head(self.checkpoint, str(config.task_type), place)
        model = assembled(self._twin(), head, seed=self.seed, text=text)
        model.module = attach_peft(model.module, place).eval()
        claim(model, PeftAdapter(str(config.peft_type.value)))
        train_only(model, lambda _: False)
        return model


def _family_of_adapter(folder: Path, record: Record | None) -> str | None:
    """As which family the base of an adapter is opened; None where its folder leaves that open."""
    return _FAMILY_OF_ADAPTER.get(str(peft_config_of(folder).task_type)) if record is None else record.family


def _foreign_head(checkpoint: Checkpoint, kind: str, place: Path) -> Head | None:
    """The head of an adapter that another tool made, as far as its folder says; None where its answers are text.

    Labels keep the names that the base has for as many, else they are called as the library calls them.
    """
    wanted = _FAMILY_OF_ADAPTER.get(kind, checkpoint.family)
    if wanted != checkpoint.family:
        raise InputError(f"The adapter {place} ({kind}) does not fit the model, which is opened as {checkpoint.family}.")
    if checkpoint.family != "encoder":
        if kind in ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"):
            raise InputError(
                f"The adapter {place} puts a head ({kind}) on a model that answers in text. That is not supported."
            )
        return None
    if kind == "QUESTION_ANS":
        return Head("span_qa")
    outputs = outputs_of_head(checkpoint.module, place)
    if outputs is None or (checkpoint.head is not None and checkpoint.head.outputs == outputs):
        return checkpoint.head
    return Head("regression") if outputs == 1 else Head("classification", labels=tuple(f"LABEL_{i}" for i in range(outputs)))
