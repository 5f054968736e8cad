package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
)

// truth makes an expression a boolean.
const truth = " !== null"

// awaited has an evaluation wait for the promise that it gives.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// textTorrent is a torrent file of texts that nobody has.
func textTorrent(name string, files int) []byte {
	var list strings.Builder
	for i := range files {
		file := fmt.Sprintf("text %d.txt", i)
		fmt.Fprintf(&list, "d6:lengthi10e4:pathl%d:%see", len(file), file)
	}
	return info(fmt.Sprintf("5:filesl%se", list.String()), name, 10*files)
}

// filmTorrent is a torrent file of one film that nobody has.
func filmTorrent(name string, size int) []byte {
	return info(fmt.Sprintf("6:lengthi%de", size), name, size)
}

func info(content, name string, size int) []byte {
	const length = 1 << 18
	hashes := strings.Repeat("x", 20*((size+length-1)/length))
	return fmt.Appendf(nil, "d4:infod%s4:name%d:%s12:piece lengthi%de6:pieces%d:%see", content, len(name), name, length, len(hashes), hashes)
}

func addTorrent(t *testing.T, address string, file []byte) {
	t.Helper()
	response, err := http.Post(address+"api/v1/torrents", "application/x-bittorrent", bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatal(response.Status)
	}
}

// filmsTorrent is a torrent file of films that nobody has, by their names, each larger than the one before, with a tracker.
func filmsTorrent(name, tracker string, films []string) []byte {
	var list strings.Builder
	total := 0
	for i, film := range films {
		size := 1_000_000 * (i + 1)
		total += size
		fmt.Fprintf(&list, "d6:lengthi%de4:pathl%d:%see", size, len(film), film)
	}
	return append(fmt.Appendf(nil, "d8:announce%d:%s", len(tracker), tracker), info(fmt.Sprintf("5:filesl%se", list.String()), name, total)[1:]...)
}
