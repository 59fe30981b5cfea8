// Everything the pages run, in one file; a module a concern.

import "./swaps.js";
import "./floating.js";
import "./dialogs.js";
import "./flashes.js";
import "./times.js";
import "./frame.js";
import "./palette.js";
import "./keys.js";
import "./filters.js";
import "./choices.js";
import "./people.js";
import "./merge.js";
import "./week.js";
import "./conversations.js";
import "./saved_replies.js";
import "./new_replies.js";
import "./upload.js";
import "./pictures.js";
import "./session.js"; // after what keeps a form from being sent
import "./steps.js";
import "./enroll.js";
