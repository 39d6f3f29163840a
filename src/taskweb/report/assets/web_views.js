// Interactive views of a web: heatmap, graph and the story of one task.
"use strict";

taskweb.webViews = {};
