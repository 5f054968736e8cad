// Package e2e plays the demo clip in a real browser: headless Chromium, driven over its debugging protocol.
//
// ELEMENTUM_STREAM names the program; SCREENSHOTS a directory for pictures of the page. A module of its own, so that the package
// needs none of this.
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// serve starts the service on its demo swarm. Where it listens.
func serve(t *testing.T) string {
	t.Helper()
	program := os.Getenv("ELEMENTUM_STREAM")
	if program == "" {
		t.Fatal("ELEMENTUM_STREAM does not name the program")
	}
	command := exec.Command(program, "-demo", "-listen", "127.0.0.1:0")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		began := time.Now()
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := command.Wait(); err != nil || time.Since(began) > 12*time.Second {
			t.Errorf("it ended with %v after %v", err, time.Since(began))
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, stdout)
	return strings.TrimSpace(line[strings.Index(line, "http"):])
}

// browser starts Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("mute-audio", true),
		chromedp.WindowSize(1280, 900),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	tab, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// visit opens the page. What its modules give each other can be named afterwards.
func visit(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	modules := "Promise.all(['state', 'player', 'toasts', 'tracks'].map((name) => import(`/js/${name}.js`))).then((all) => { Object.assign(window, ...all); })"
	run(t, ctx, chromedp.Navigate(address), chromedp.Evaluate(modules, nil, awaited))
}

// evaluate gives the value of an expression in the page.
func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	var value T
	run(t, ctx, chromedp.Evaluate(expression, &value))
	return value
}

func until(t *testing.T, ctx context.Context, what, expression string) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !evaluate[bool](t, ctx, expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			shoot(t, ctx, "failed")
			t.Fatalf("not within 40 s: %s: %s", what, expression)
		}
	}
}

// shoot keeps a picture of the page.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	keep(t, ctx, name, func(png *[]byte) chromedp.Action { return chromedp.CaptureScreenshot(png) })
}

func keep(t *testing.T, ctx context.Context, name string, take func(*[]byte) chromedp.Action) {
	t.Helper()
	directory := os.Getenv("SCREENSHOTS")
	if directory == "" {
		return
	}
	var png []byte
	run(t, ctx, take(&png))
	if err := os.WriteFile(filepath.Join(directory, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// downloaded is the payload that came over the network, by the API.
func downloaded(t *testing.T, address string) uint64 {
	t.Helper()
	response, err := http.Get(address + "api/v1/session")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var session struct {
		Payload uint64 `json:"downloaded"`
	}
	if err := json.NewDecoder(response.Body).Decode(&session); err != nil || session.Payload == 0 {
		t.Fatal(session, err)
	}
	return session.Payload
}

const (
	video   = `document.getElementById("video")`
	playing = video + `.readyState >= 3 && !` + video + `.paused && !` + video + `.seeking`
)

// plays waits until the video is at a place and runs on from it.
func plays(t *testing.T, ctx context.Context, from float64) {
	t.Helper()
	until(t, ctx, "it plays", fmt.Sprintf("%s && %s.currentTime > %f && %s.currentTime < %f", playing, video, from+0.3, video, from+20))
}

// colours counts the colours of a canvas.
func colours(t *testing.T, ctx context.Context, canvas string) int {
	return evaluate[int](t, ctx, `(() => {
		const canvas = document.getElementById("`+canvas+`");
		const data = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
		return new Set(data).size;
	})()`)
}

func TestThePagePlaysTheDemo(t *testing.T) {
	address := serve(t)
	ctx := browser(t)
	visit(t, ctx, address)
	until(t, ctx, "the torrent is listed", `document.querySelectorAll("#torrents > li").length === 1`)
	until(t, ctx, "updates come", `document.getElementById("link").dataset.state === "live"`)
	shoot(t, ctx, "1-listed")

	// A player that waits is told why: here the torrent is paused before anything was fetched.
	run(t, ctx, chromedp.Click(`#torrents > li .side-buttons button`, chromedp.ByQuery))
	until(t, ctx, "it is paused", `/Resume/.test(document.querySelector("#torrents > li .side-buttons button").textContent)`)
	run(t, ctx, chromedp.Click(`[data-do="toggle"]`, chromedp.ByQuery))
	until(t, ctx, "it says why it waits", `!document.getElementById("why").hidden && /: the torrent is paused$/.test(document.getElementById("why").textContent)`)
	shoot(t, ctx, "2-waits")
	run(t, ctx, chromedp.Click(`#torrents > li .side-buttons button`, chromedp.ByQuery))
	plays(t, ctx, 0)
	until(t, ctx, "it says so no more", `document.getElementById("why").hidden`)
	if duration := evaluate[float64](t, ctx, video+".duration"); duration < 74 || duration > 76 {
		t.Errorf("%f s long", duration)
	}
	until(t, ctx, "the map is drawn", `/\d/.test(document.getElementById("map-text").textContent)`)
	if count := colours(t, ctx, "map"); count < 3 {
		t.Errorf("the map has %d colours", count)
	}
	time.Sleep(3 * time.Second)
	if count := colours(t, ctx, "plot"); count < 3 {
		t.Errorf("the plot has %d colours", count)
	}
	shoot(t, ctx, "2-plays")

	// Forward, to where nothing is yet.
	run(t, ctx, chromedp.Evaluate(video+".currentTime = 55", nil))
	plays(t, ctx, 58)
	shoot(t, ctx, "3-seeked-forward")

	// Back inside the lookbehind. The torrent is paused: nothing can come over the network.
	run(t, ctx, chromedp.Click("#detail-pause"))
	until(t, ctx, "it is paused", `/Resume/.test(document.getElementById("detail-pause").textContent)`)
	before := downloaded(t, address)
	run(t, ctx, chromedp.Evaluate(video+".currentTime = 56", nil))
	plays(t, ctx, 56)
	if after := downloaded(t, address); after != before {
		t.Errorf("%v bytes before, %v after", before, after)
	}
	run(t, ctx, chromedp.Click("#detail-pause"))
	until(t, ctx, "it runs", `/Pause/.test(document.getElementById("detail-pause").textContent)`)

	pictures(t, ctx, "4-plays")
	run(t, ctx, emulation.ClearDeviceMetricsOverride())

	// An error is told where it happened.
	run(t, ctx, chromedp.SendKeys("#add-field", "magnet:?nothing\r"))
	until(t, ctx, "the error is shown", `!document.getElementById("add-error").hidden && document.getElementById("add-error").textContent.length > 5`)
	shoot(t, ctx, "6-error")

	run(t, ctx, chromedp.Click("#detail-remove"))
	run(t, ctx, chromedp.WaitVisible("#remove-yes"), chromedp.Click("#remove-yes"))
	until(t, ctx, "the player says so", `/removed/.test(document.getElementById("cover-text").textContent)`)
	until(t, ctx, "the list is empty", `document.querySelectorAll("#torrents > li").length === 0 && !document.getElementById("empty").hidden`)
	shoot(t, ctx, "7-removed")
	if state := evaluate[string](t, ctx, `document.getElementById("link").dataset.state`); state != "live" {
		t.Error("the page is", state)
	}
}
