// The page. The service sends its whole state twice a second (js/events.js); here it is drawn. Names come from strangers' torrents: they only
// ever become text. Each part listens for what concerns it (js/state.js); none knows those that draw beside it.

import "./js/session.js";
import "./js/torrents.js";
import "./js/adding.js";
import "./js/cover.js";
import "./js/tracks.js";
import "./js/subtitles.js";
import "./js/keys.js";
import "./js/buffer.js";
import "./js/map.js";
import "./js/plot.js";
import "./js/detail.js";
import "./js/tabs.js";
import "./js/files.js";
import "./js/limits.js";
import "./js/log.js";
import { listen } from "./js/events.js";

// The token is a cookie by now; in the address it would be seen and bookmarked.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);
listen();
