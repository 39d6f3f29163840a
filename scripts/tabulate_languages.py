"""Tabulate in docs/languages.md how all-MiniLM-L6-v2 divides texts of many languages: `python scripts/tabulate_languages.py`.

The same five sentences in each language; nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path

from taskweb.selectors.encoder import Readability, SentenceEncoder
from taskweb.selectors.encoder.readability import PUBLISHED_TEXTS

PAGE = Path(__file__).parents[1] / "docs" / "languages.md"
BEGIN, END = "<!-- begin: scripts/tabulate_languages.py -->\n", "<!-- end -->\n"

# Languages in scripts of which the encoder knows at most single letters.
OTHER_SCRIPTS = {
    "Russian": (
        "Фильм оказался скучным и слишком длинным.",
        "Вчера вечером мы долго гуляли по набережной.",
        "Правительство объявило о новых мерах поддержки.",
        "Сколько стоит билет до центра города?",
        "Она забыла закрыть окно перед уходом.",
    ),
    "Greek": (
        "Η ταινία ήταν βαρετή και πολύ μεγάλη.",
        "Χθες το βράδυ περπατήσαμε στην παραλία.",
        "Η κυβέρνηση ανακοίνωσε νέα μέτρα στήριξης.",
        "Πόσο κοστίζει το εισιτήριο για το κέντρο;",
        "Ξέχασε να κλείσει το παράθυρο πριν φύγει.",
    ),
    "Arabic": (
        "كان الفيلم مملا وطويلا جدا.",
        "مشينا مساء أمس على شاطئ البحر.",
        "أعلنت الحكومة عن إجراءات دعم جديدة.",
        "كم سعر التذكرة إلى وسط المدينة؟",
        "نسيت أن تغلق النافذة قبل أن تغادر.",
    ),
    "Hebrew": (
        "הסרט היה משעמם וארוך מדי.",
        "אתמול בערב טיילנו לאורך החוף.",
        "הממשלה הודיעה על צעדי תמיכה חדשים.",
        "כמה עולה כרטיס למרכז העיר?",
        "היא שכחה לסגור את החלון לפני שיצאה.",
    ),
    "Hindi": (
        "फ़िल्म उबाऊ और बहुत लंबी थी।",
        "कल शाम हम नदी के किनारे टहलने गए।",
        "सरकार ने सहायता के नए उपायों की घोषणा की।",
        "शहर के केंद्र तक टिकट कितने का है?",
        "वह जाने से पहले खिड़की बंद करना भूल गई।",
    ),
    "Thai": (
        "ภาพยนตร์เรื่องนี้น่าเบื่อและยาวเกินไป",
        "เมื่อวานเย็นเราเดินเล่นริมทะเล",
        "รัฐบาลประกาศมาตรการช่วยเหลือใหม่",
        "ตั๋วไปใจกลางเมืองราคาเท่าไร",
        "เธอลืมปิดหน้าต่างก่อนออกจากบ้าน",
    ),
    "Chinese": (
        "这部电影又无聊又太长。",
        "昨天晚上我们在海边散步。",
        "政府宣布了新的支持措施。",
        "去市中心的票多少钱？",
        "她离开前忘了关窗户。",
    ),
    "Japanese": (
        "その映画は退屈で長すぎた。",
        "昨日の夕方、私たちは海辺を散歩しました。",
        "政府は新しい支援策を発表した。",
        "市の中心部までの切符はいくらですか。",
        "彼女は出かける前に窓を閉めるのを忘れた。",
    ),
    "Korean": (
        "그 영화는 지루하고 너무 길었다.",
        "어제 저녁에 우리는 바닷가를 산책했다.",
        "정부는 새로운 지원 대책을 발표했다.",
        "시내까지 가는 표는 얼마입니까?",
        "그녀는 나가기 전에 창문 닫는 것을 잊었다.",
    ),
    "Georgian": (
        "ფილმი მოსაწყენი და ძალიან გრძელი იყო.",
        "გუშინ საღამოს ზღვის პირას ვსეირნობდით.",
        "მთავრობამ დახმარების ახალი ზომები გამოაცხადა.",
        "რა ღირს ბილეთი ქალაქის ცენტრამდე?",
        "მან წასვლის წინ ფანჯრის დახურვა დაავიწყდა.",
    ),
    "Amharic": (
        "ፊልሙ አሰልቺ እና በጣም ረጅም ነበር።",
        "ትናንት ማታ በባህር ዳርቻ ተራመድን።",
        "መንግሥት አዲስ የድጋፍ እርምጃዎችን አስታወቀ።",
        "ወደ ከተማው መሃል ትኬት ስንት ነው?",
        "ከመውጣቷ በፊት መስኮቱን መዝጋት ረሳች።",
    ),
    "Armenian": (
        "Ֆիլմը ձանձրալի էր և չափազանց երկար։",
        "Երեկ երեկոյան մենք զբոսնեցինք ծովի ափին։",
        "Կառավարությունը հայտարարեց աջակցության նոր միջոցներ։",
        "Որքա՞ն արժե տոմսը մինչև քաղաքի կենտրոն։",
        "Նա մոռացավ փակել պատուհանը գնալուց առաջ։",
    ),
    "Tamil": (
        "படம் சலிப்பாகவும் மிக நீளமாகவும் இருந்தது.",
        "நேற்று மாலை நாங்கள் கடற்கரையில் நடந்தோம்.",
        "அரசு புதிய உதவி நடவடிக்கைகளை அறிவித்தது.",
        "நகர மையத்திற்கு ஒரு சீட்டு எவ்வளவு?",
        "அவள் கிளம்பும் முன் ஜன்னலை மூட மறந்துவிட்டாள்.",
    ),
    "Bengali": (
        "ছবিটি একঘেয়ে এবং খুব লম্বা ছিল।",
        "গতকাল সন্ধ্যায় আমরা সমুদ্রের ধারে হেঁটেছিলাম।",
        "সরকার নতুন সহায়তা ব্যবস্থা ঘোষণা করেছে।",
        "শহরের কেন্দ্রে যাওয়ার টিকিটের দাম কত?",
        "সে বেরোনোর আগে জানালা বন্ধ করতে ভুলে গেছে।",
    ),
}
# Languages that are written in the letters of English: whether the encoder understands them cannot be told by their pieces.
LATIN = {
    "German": (
        "Der Film war langweilig und viel zu lang.",
        "Gestern Abend gingen wir lange am Ufer spazieren.",
        "Die Regierung kündigte neue Unterstützungsmaßnahmen an.",
        "Wie viel kostet eine Fahrkarte in die Innenstadt?",
        "Sie vergaß, das Fenster zu schließen, bevor sie ging.",
    ),
    "Vietnamese": (
        "Bộ phim chán và quá dài.",
        "Tối qua chúng tôi đi dạo dọc bờ biển.",
        "Chính phủ công bố các biện pháp hỗ trợ mới.",
        "Vé vào trung tâm thành phố giá bao nhiêu?",
        "Cô ấy quên đóng cửa sổ trước khi ra ngoài.",
    ),
    "Finnish": (
        "Elokuva oli tylsä ja aivan liian pitkä.",
        "Eilen illalla kävelimme pitkään rannalla.",
        "Hallitus ilmoitti uusista tukitoimista.",
        "Paljonko lippu keskustaan maksaa?",
        "Hän unohti sulkea ikkunan ennen lähtöään.",
    ),
    "Turkish": (
        "Film sıkıcıydı ve çok uzundu.",
        "Dün akşam sahilde uzun uzun yürüdük.",
        "Hükümet yeni destek önlemlerini açıkladı.",
        "Şehir merkezine bilet ne kadar?",
        "Çıkmadan önce pencereyi kapatmayı unuttu.",
    ),
    "Polish": (
        "Film był nudny i o wiele za długi.",
        "Wczoraj wieczorem długo spacerowaliśmy po plaży.",
        "Rząd ogłosił nowe środki wsparcia.",
        "Ile kosztuje bilet do centrum miasta?",
        "Zapomniała zamknąć okno przed wyjściem.",
    ),
    "English": (
        "The film was dull and far too long.",
        "Last night we walked along the shore.",
        "The government announced new support measures.",
        "How much is a ticket to the city centre?",
        "She forgot to close the window before she left.",
    ),
}


def table(encoder: SentenceEncoder) -> str:
    """The table in Markdown: a row per language."""
    lines = ["| language | pieces a word | single letters | unknown letters | said |", "|---|--:|--:|--:|---|"]
    for language, sentences in (OTHER_SCRIPTS | LATIN).items():
        lines.append(row(language, encoder.readability(sentences)))
    return "\n".join((*lines, row("*the published web*", PUBLISHED_TEXTS), ""))


def row(name: str, read: Readability) -> str:
    """One row of the table."""
    said = "" if read.is_readable(PUBLISHED_TEXTS) else "yes"
    return f"| {name} | {read.pieces_per_word:.2f} | {read.fragment_share:.0%} | {read.unknown_share:.0%} | {said} |"


def with_table(page: str, tabulated: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tabulated}{END}{after}"


def main() -> None:
    """Rewrite the table of the page."""
    tabulated = table(SentenceEncoder.find())
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), tabulated), encoding="utf-8")


if __name__ == "__main__":
    main()
