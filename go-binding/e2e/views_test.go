package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The screens that the page is looked at on: a small phone, a large one, a laptop, a television.
var screens = [][2]int64{{360, 740}, {412, 915}, {1280, 800}, {1920, 1080}}

// pictures takes one of each screen in both themes, and looks for what stands over the edge.
func pictures(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	for _, size := range screens {
		for _, scheme := range []string{"light", "dark"} {
			screen(t, ctx, size, scheme)
			fits(t, ctx, fmt.Sprintf("%s at %d", name, size[0]))
			shoot(t, ctx, fmt.Sprintf("%s-%dx%d-%s", name, size[0], size[1], scheme))
			if scheme == "light" {
				keep(t, ctx, fmt.Sprintf("%s-%d-whole", name, size[0]), func(png *[]byte) chromedp.Action { return chromedp.FullScreenshot(png, 100) })
			}
		}
	}
	run(t, ctx, emulation.ClearDeviceMetricsOverride())
}

// screen has the page on a screen of a size, drawn.
func screen(t *testing.T, ctx context.Context, size [2]int64, scheme string) {
	t.Helper()
	run(t, ctx,
		emulation.SetDeviceMetricsOverride(size[0], size[1], 1, size[0] < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Evaluate("scrollTo(0, 0)", nil),
		chromedp.Evaluate("document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))", nil, awaited))
}

// fits fails where something that is seen stands over the right edge: of the page, or of a card that does not scroll.
func fits(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	over := evaluate[[]string](t, ctx, `(() => {
		const over = [];
		if (document.documentElement.scrollWidth > innerWidth) over.push("the page scrolls sideways");
		for (const node of document.querySelectorAll("body *")) {
			const box = node.getBoundingClientRect();
			if (!box.width || !box.height || getComputedStyle(node).visibility === "hidden" || node.closest(".hidden-input, .skip")) continue;
			if (node.parentElement.closest(".panel, .tabs, .log")) continue;
			const card = node.parentElement.closest(".card, .add, .stage, .bar, .torrents > li, dialog, .toast");
			const edge = Math.min(innerWidth, card ? card.getBoundingClientRect().right : innerWidth);
			if (box.right > edge + 0.5) over.push((node.id || node.className || node.tagName) + " ends at " + box.right + " of " + edge);
		}
		return over;
	})()`)
	if len(over) > 0 {
		t.Errorf("%s: %q", what, over)
	}
}

// inReach fails where an element is not on the first screen, whole.
func inReach(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	where := evaluate[[]float64](t, ctx, `(() => { const box = document.querySelector(`+"`"+selector+"`"+`).getBoundingClientRect(); return [box.top, box.bottom, box.height, innerHeight]; })()`)
	if where[2] == 0 || where[0] < 0 || where[1] > where[3] {
		t.Errorf("%s is at %v", selector, where)
	}
}

// On a phone what is needed to play is there without scrolling, before and while it plays.
func TestThePlayButtonIsInReachOnAPhone(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	until(t, ctx, "the cover offers it", `/elementum-demo/.test(document.getElementById("cover-text").textContent) && document.querySelector("#cover-actions button")`+truth)
	pictures(t, ctx, "1-offered")
	for _, size := range screens[:2] {
		screen(t, ctx, size, "light")
		inReach(t, ctx, "#cover-actions button")
		inReach(t, ctx, `[data-do="toggle"]`)
		inReach(t, ctx, "#add-field")
		inReach(t, ctx, "#torrents .play")
	}
	run(t, ctx, chromedp.Click("#cover-actions button"))
	plays(t, ctx, 0)
	// Somebody who needs large letters has the same buttons.
	run(t, ctx, chromedp.Evaluate(`document.documentElement.style.fontSize = "22px"`, nil))
	screen(t, ctx, screens[0], "light")
	fits(t, ctx, "large letters")
	run(t, ctx, chromedp.Evaluate(`document.documentElement.style.fontSize = ""`, nil))
	// The button of a file is not beyond the edge of its list.
	screen(t, ctx, screens[0], "light")
	until(t, ctx, "the file is listed", `document.querySelector("#panel-files .act .primary")`+truth)
	if right := evaluate[float64](t, ctx, `document.querySelector("#panel-files .act .button").getBoundingClientRect().right`); right > 360 {
		t.Error("it ends at", right)
	}
	for _, size := range screens[:2] {
		screen(t, ctx, size, "dark")
		inReach(t, ctx, "#video")
		inReach(t, ctx, `[data-do="toggle"]`)
		inReach(t, ctx, `#external`)
	}
}

// What lies over the player speaks of the torrent that is selected, and of no other.
func TestTheCoverFollowsTheSelection(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	cover := func(what string) {
		t.Helper()
		until(t, ctx, "the cover says "+what, `!document.getElementById("cover").hidden && /`+what+`/.test(document.getElementById("cover-text").textContent)`)
	}
	cover("elementum-demo")
	run(t, ctx, chromedp.SendKeys("#add-field", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=Something+else\r"))
	cover("Peers are being asked what is in “Something else”")
	if evaluate[bool](t, ctx, `document.querySelector("#cover-actions *") !== null`) {
		t.Error("there is a button to play what is not known")
	}
	pictures(t, ctx, "8-magnet")
	addTorrent(t, address, textTorrent("Only text", 3))
	until(t, ctx, "it is listed", `document.querySelectorAll("#torrents > li").length === 3`)
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(3) .pick", chromedp.ByQuery))
	cover("There is no file in “Only text” that plays")
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(1) .pick", chromedp.ByQuery))
	cover("elementum-demo")
	run(t, ctx, chromedp.Click("#cover-actions button"))
	plays(t, ctx, 0)
	// What plays goes on, whatever is looked at.
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery))
	until(t, ctx, "the other one is looked at", `/Something else/.test(document.getElementById("detail-title").textContent)`)
	if !evaluate[bool](t, ctx, `document.getElementById("cover").hidden && !`+video+`.paused`) {
		t.Error("it does not play on")
	}
	// What the player has to say of a file that is gone ends where another torrent is chosen.
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(1) .side-buttons button:last-child", chromedp.ByQuery))
	run(t, ctx, chromedp.WaitVisible("#remove-yes"), chromedp.Click("#remove-yes"))
	cover("removed while it was playing")
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery))
	cover("There is no file in “Only text” that plays")
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(1) .pick", chromedp.ByQuery))
	cover("Peers are being asked")
}

// A torrent of very many files is shown in parts, and asked for once while nothing changes.
func TestManyFilesAreShownInParts(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	addTorrent(t, address, textTorrent("Library", 120_000))
	until(t, ctx, "it is listed", `document.querySelectorAll("#torrents > li").length === 2`)
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery))
	const rows = `document.querySelectorAll("#panel-files tbody tr")`
	until(t, ctx, "a part is shown", rows+`.length === 100 && /^1 to 100 of 120,000 files/.test(document.querySelector(".pager p").textContent)`)
	// The page looks every two seconds whether to ask again.
	seen := evaluate[float64](t, ctx, "view.state.time")
	until(t, ctx, "some time went by", fmt.Sprintf("view.state.time > %f", seen+5000))
	asked := evaluate[[]float64](t, ctx, `performance.getEntriesByType("resource").filter((r) => /\/files\?/.test(r.name) && r.name.includes(view.selected)).map((r) => r.encodedBodySize)`)
	if len(asked) != 1 || asked[0] > 64<<10 {
		t.Errorf("it was asked for %v", asked)
	}
	pictures(t, ctx, "9-many")
	run(t, ctx, chromedp.Click(`.pager button:last-child`, chromedp.ByQuery))
	until(t, ctx, "the next part is shown", `/^101 to 200 of/.test(document.querySelector(".pager p").textContent) && /text 100.txt/.test(`+rows+`[0].textContent)`)
	run(t, ctx, chromedp.SendKeys(".pager input", "TEXT 11999"))
	until(t, ctx, "what is looked for is shown", rows+`.length === 11 && /^1 to 11 of 11 files/.test(document.querySelector(".pager p").textContent)`)
	run(t, ctx, chromedp.SendKeys(".pager input", "x"))
	until(t, ctx, "it says that there is none", rows+`.length === 0 && /No file/.test(document.querySelector(".pager p").textContent)`)
	if focused := evaluate[bool](t, ctx, `document.activeElement === document.querySelector(".pager input")`); !focused {
		t.Error("the field was lost while it was written into")
	}
}

// What goes wrong is said in sentences, one at a time. Of trackers that do not answer there are many: they are among the details.
func TestMessagesComeOneAtATime(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	until(t, ctx, "updates come", `document.getElementById("link").dataset.state === "live"`)
	run(t, ctx, chromedp.SendKeys("#add-field", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=Film&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce\r"))
	until(t, ctx, "the tracker has failed", `view.alerts.some((a) => a.type === "tracker_error")`)
	const log = `document.getElementById("log").textContent`
	if evaluate[bool](t, ctx, `/[Tt]racker/.test(document.getElementById("toasts").textContent + `+log+`)`) {
		t.Error("a tracker's error is told")
	}
	if !evaluate[bool](t, ctx, `/“Film” was added\./.test(`+log+`)`) {
		t.Error(evaluate[string](t, ctx, log))
	}
	run(t, ctx, chromedp.SetValue("#log-kind", "tracker"), chromedp.Evaluate(`document.getElementById("log-kind").dispatchEvent(new Event("change"))`, nil))
	until(t, ctx, "who asks is told", `/Tracker 127.0.0.1:1 does not help with “Film”: .*\./.test(`+log+`)`)
	run(t, ctx, chromedp.Click("#tab-trackers"))
	until(t, ctx, "it is among the trackers", `document.querySelectorAll("#panel-trackers tbody tr").length === 1`)
	pictures(t, ctx, "10-trackers")

	run(t, ctx, chromedp.Evaluate(`for (let i = 0; i < 30; i++) { toast("First.", true); toast("Second.", true); toast("Third."); }`, nil))
	for _, want := range []string{"First.", "Second.", "Third."} {
		until(t, ctx, "it says "+want, `[...document.querySelectorAll("#toasts .toast p")].map((p) => p.textContent).join("|") === "`+want+`"`)
		run(t, ctx, chromedp.Evaluate(`document.querySelector("#toasts button").click()`, nil))
	}
	if evaluate[int](t, ctx, `document.querySelectorAll(".toast").length`) != 0 {
		t.Error("there are more")
	}
}

// A browser that lacks a format plays the rest, and says nothing by itself: the page does.
func TestNoPictureAndNoSoundAreSaid(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	until(t, ctx, "the cover offers it", `document.querySelector("#cover-actions button")`+truth)
	const trouble = `(document.getElementById("trouble").hidden ? "" : document.getElementById("trouble").textContent)`
	pretend := func(picture, sound bool) {
		t.Helper()
		run(t, ctx, chromedp.Evaluate(fmt.Sprintf(`senses.picture = () => %v; senses.sound = () => %v`, picture, sound), nil))
		run(t, ctx, chromedp.Evaluate(`play(view.selected, view.best)`, nil))
		plays(t, ctx, 0)
	}
	run(t, ctx, chromedp.Click("#cover-actions button"))
	until(t, ctx, "it has played for a while", video+".currentTime > 2.5")
	until(t, ctx, "it was looked at", "heard.told")
	if !evaluate[bool](t, ctx, "senses.picture() !== false") || evaluate[bool](t, ctx, `/picture/.test(`+trouble+`)`) {
		t.Error("the clip has a picture:", evaluate[string](t, ctx, trouble))
	}
	pretend(false, true)
	until(t, ctx, "no picture is said", `/^No picture: /.test(`+trouble+`)`)
	pictures(t, ctx, "11-no-picture")
	pretend(true, false)
	until(t, ctx, "no sound is said", `/^No sound: .*AC-3/.test(`+trouble+`)`)
	pretend(false, false)
	until(t, ctx, "neither is said", `/^Neither picture nor sound/.test(`+trouble+`)`)
	pretend(true, true)
	until(t, ctx, "it was looked at", "heard.told")
	if said := evaluate[string](t, ctx, trouble); said != "" {
		t.Error(said)
	}

	// One that does not play at all.
	addTorrent(t, address, filmTorrent("Old.avi", 5000))
	until(t, ctx, "it is listed", `document.querySelectorAll("#torrents > li").length === 2`)
	run(t, ctx, chromedp.Evaluate(`Object.defineProperty(video, "error", { value: { code: MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED } }); video.dispatchEvent(new Event("error"))`, nil))
	until(t, ctx, "it says what can be done", `/does not know the format of “elementum-demo.webm”.*VLC/.test(document.getElementById("cover-text").textContent) && document.querySelectorAll("#cover-actions a").length === 2 && /playlist\.m3u\?file=0$/.test(document.querySelector("#cover-actions a").href)`)
	pictures(t, ctx, "12-format")
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery))
	until(t, ctx, "the cover is of the other", `document.getElementById("cover-text").textContent === "Old.avi"`)
}

// The other views: lists, limits, help, the questions before something is done.
func TestEveryViewFits(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	until(t, ctx, "the cover offers it", `document.querySelector("#cover-actions button")`+truth)
	addTorrent(t, address, filmTorrent("A.film.with.a.name.that.is.as.long.as.those.of.films.are.2026.2160p.WEB-DL.DDP5.1.Atmos.HDR.H.265-SOMEBODY.mkv", 9_000_000))
	run(t, ctx, chromedp.Evaluate(`play(view.selected, view.best)`, nil))
	plays(t, ctx, 0)
	for _, tab := range []string{"peers", "limits"} {
		run(t, ctx, chromedp.Click("#tab-"+tab))
		until(t, ctx, "it is filled", `document.getElementById("panel-`+tab+`").querySelector("td, input")`+truth)
		pictures(t, ctx, "13-"+tab)
	}
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery), chromedp.Click("#tab-files"))
	until(t, ctx, "its file is listed", `/A.film/.test(document.getElementById("panel-files").textContent)`)
	pictures(t, ctx, "14-long-name")
	run(t, ctx, chromedp.Click("#detail-remove"), chromedp.WaitVisible("#remove-yes"))
	pictures(t, ctx, "15-remove")
	run(t, ctx, chromedp.Click(`#remove [value="cancel"]`))
	run(t, ctx, chromedp.Evaluate(`document.getElementById("help").showModal()`, nil))
	pictures(t, ctx, "16-help")
	run(t, ctx, chromedp.Evaluate(`document.getElementById("help").close()`, nil))
	run(t, ctx, chromedp.SendKeys("#add-field", "magnet:?nothing\r"))
	until(t, ctx, "the error is shown", `!document.getElementById("add-error").hidden`)
	pictures(t, ctx, "17-error")
}

// Names are strangers': what turns a line round or is not seen is left out, the rest fits, and the page stays usable. A player of one's own
// gets the list that begins with the file that is chosen.
func TestOddNames(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	films := []string{
		"\u202egpj.film\u202c one.mkv",
		"قناة الأفلام - الحلقة 12 (HD).mkv",
		"<img src=x onerror=alert(1)>&amp;.mkv",
		"日本語のとても長い名前のファイル日本語のとても長い名前のファイル日本語のとても長い名前.mkv",
		strings.Repeat("unbroken", 25) + ".mkv",
	}
	addTorrent(t, address, filmsTorrent("Odd \u200b\u2066names\u202e of films \u0007", "http://127.0.0.1:1/announce", films))
	until(t, ctx, "it is listed", `document.querySelectorAll("#torrents > li").length === 2`)
	run(t, ctx, chromedp.Click("#torrents > li:nth-child(2) .pick", chromedp.ByQuery))
	until(t, ctx, "its files are listed", `document.querySelectorAll("#panel-files tbody tr").length === 5 && /^unbroken/.test(document.getElementById("cover-text").textContent)`)
	if text := evaluate[string](t, ctx, `(document.body.textContent.match(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u0007]/g) || []).join()`); text != "" {
		t.Errorf("%q is on the page", text)
	}
	href := func(selector string) string {
		t.Helper()
		return evaluate[string](t, ctx, fmt.Sprintf("new URL(document.querySelector(%q).href).pathname.split('/').pop() + new URL(document.querySelector(%q).href).search", selector, selector))
	}
	if got := href("#cover-actions a"); got != "playlist.m3u?file=4" {
		t.Error("the cover offers", got)
	}
	pictures(t, ctx, "18-odd-names")
	run(t, ctx, chromedp.Click("#panel-files tbody tr:nth-child(2) .primary", chromedp.ByQuery))
	until(t, ctx, "it is the one that plays", `/^قناة/.test(document.getElementById("now-title").textContent) && !document.getElementById("external").hidden`)
	if got := href("#external"); got != "playlist.m3u?file=1" {
		t.Error("what plays is offered as", got)
	}
	until(t, ctx, "it says why it waits", `!document.getElementById("why").hidden`)
	run(t, ctx, chromedp.Click("#tab-trackers"))
	until(t, ctx, "the tracker has failed", `/127.0.0.1:1/.test(document.getElementById("panel-trackers").textContent) && !/not asked yet|being asked/.test(document.getElementById("panel-trackers").textContent)`)
	screen(t, ctx, screens[0], "light")
	if right := evaluate[float64](t, ctx, `document.querySelector("#panel-trackers td:nth-child(2)").getBoundingClientRect().right`); right > 360 {
		t.Error("what the tracker says ends at", right)
	}
	if said := evaluate[string](t, ctx, `document.querySelector("#panel-trackers td:nth-child(2)").textContent`); said != "Connection refused" {
		t.Errorf("%q", said)
	}
	pictures(t, ctx, "19-unreachable")
}
