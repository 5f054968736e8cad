package torrent_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"elementum.example/torrent"
)

func explained(t *testing.T, r *torrent.Reader, reason torrent.Reason) torrent.Explanation {
	t.Helper()
	var why torrent.Explanation
	until(t, reason.String(), func() bool {
		var err error
		why, err = r.Explain()
		must(t, err)
		return why.Reason == reason
	})
	return why
}

func TestExplain(t *testing.T) {
	f := newFilm(4<<20, 256<<10)
	_, peer := seed(t, f, nil)
	session := open(t, torrent.Settings{"download_rate_limit": 30_000})
	added := leech(t, session, f)
	r := reader(t, added)
	ctx, cancel := context.WithCancel(context.Background())
	done := waiting(t, r, false, ctx)

	why := explained(t, r, torrent.ReasonNoPeers)
	if why.Offset != 0 || why.Piece != 0 || why.Block != 0 || why.BlocksInPiece != 16 || why.AskedOf.IsValid() || why.Expected >= 0 ||
		why.Waited < 20*time.Millisecond || why.Peers != (torrent.ExplanationPeers{}) || why.Memory.Limit != 64<<20 {
		t.Errorf("%+v", why)
	}
	if text := why.String(); !strings.HasPrefix(text, "no peer is connected") {
		t.Error(text)
	}
	must(t, added.Pause())
	if text := explained(t, r, torrent.ReasonTorrentPaused).String(); text != "the torrent is paused" {
		t.Error(text)
	}
	must(t, added.Resume())

	address := netip.MustParseAddrPort(peer)
	must(t, added.ConnectPeer(address))
	why = explained(t, r, torrent.ReasonDownloadLimit)
	if why.AskedOf != address || why.Peers.WithPiece != 1 || why.Peers.Unchoked != 1 || why.SessionDownloadLimit != 30_000 {
		t.Errorf("%+v", why)
	}
	if text := why.String(); !strings.Contains(text, "download limit of 30 KiB a second") || !strings.Contains(text, peer) {
		t.Error(text)
	}
	must(t, session.ApplySettings(torrent.Settings{"download_rate_limit": 0}))
	explained(t, r, torrent.ReasonReady)

	// It has read by now.
	cancel()
	<-done
	must(t, r.Close())
	if why, err := r.Explain(); !errors.Is(err, torrent.ErrClosed) || why.String() != "" {
		t.Error(why, err)
	}
}
