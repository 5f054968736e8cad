package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"elementum.example/torrent"
)

// What an alert says to people: a sentence, with the torrent's name in place of its number. The library's own line is for logs that are
// searched, and goes beside it.

// sentence says what happened. name is the torrent's, empty where it is not known.
func sentence(alert torrent.Alert, name string) string {
	what := "a torrent"
	if name != "" {
		what = "“" + name + "”"
	}
	return upper(phrase(alert, what)) + "."
}

func phrase(alert torrent.Alert, what string) string {
	switch a := alert.(type) {
	case *torrent.AddTorrent:
		switch {
		case errors.Is(a.Err, torrent.ErrDuplicateTorrent):
			return what + " is there already"
		case a.Err != nil:
			return fmt.Sprintf("%s could not be added: %s", what, reason(a.Err))
		}
		return what + " was added"
	case *torrent.TorrentRemoved:
		return what + " was removed"
	case *torrent.TorrentDeleted:
		return "the files of " + what + " are deleted"
	case *torrent.TorrentDeleteFailed:
		return fmt.Sprintf("some files of %s could not be deleted: %s", what, reason(a.Err))
	case *torrent.StateChanged:
		return what + " " + stateWords(a.State)
	case *torrent.TorrentPaused:
		return what + " is paused"
	case *torrent.TorrentResumed:
		return what + " runs again"
	case *torrent.TorrentChecked:
		return "what is there of " + what + " has been checked"
	case *torrent.TorrentFinished:
		return "all that is wanted of " + what + " is there"
	case *torrent.TorrentError:
		return fmt.Sprintf("%s stopped%s: %s", what, inFile(a.Filename), reason(a.Err))
	case *torrent.FileError:
		return fmt.Sprintf("a file of %s could not be read or written%s: %s", what, inFile(a.Filename), reason(a.Err))
	case *torrent.MetadataReceived:
		return "the files of " + what + " are known now"
	case *torrent.MetadataFailed:
		return "a peer told wrong things of " + what + "; others are asked"
	case *torrent.FileCompleted:
		return fmt.Sprintf("file %d of %s is complete", a.File+1, what)
	case *torrent.PieceFinished:
		return fmt.Sprintf("piece %d of %s is there", a.Piece, what)
	case *torrent.HashFailed:
		return fmt.Sprintf("piece %d of %s came in damaged and is fetched again", a.Piece, what)
	case *torrent.PieceEvicted:
		return fmt.Sprintf("piece %d of %s left memory to make room", a.Piece, what)
	case *torrent.ReaderReady:
		return "a stream of " + what + " goes on"
	case *torrent.ReaderStalled:
		return fmt.Sprintf("a stream of %s waits for piece %d", what, a.Piece)
	case *torrent.PrebufferProgress:
		return fmt.Sprintf("%s of the %s that a stream of %s begins with are there", size(a.Done), size(a.Total), what)
	case *torrent.MemoryPressure:
		if a.Needed > a.Limit {
			return fmt.Sprintf("what is read of %s at once takes %s, and the memory limit is %s: raise it, or play less at once", what, size(a.Needed), size(a.Limit))
		}
		// Needed is what is missing, of this torrent alone; the limit is in use for what is wanted as much.
		return fmt.Sprintf("a stream of %s waits, because memory is full: raise the limit of %s, or play less at once", what, size(a.Limit))
	}
	return cmp.Or(swarmPhrase(alert, what), sessionPhrase(alert), alert.Message())
}

// swarmPhrase is of peers, trackers and the DHT; empty of anything else.
func swarmPhrase(alert torrent.Alert, what string) string {
	switch a := alert.(type) {
	case *torrent.PeerConnect:
		return fmt.Sprintf("peer %s is connected for %s", a.Endpoint, what)
	case *torrent.PeerDisconnected:
		if a.Err != nil {
			return fmt.Sprintf("peer %s is gone: %s", a.Endpoint, reason(a.Err))
		}
		return fmt.Sprintf("peer %s is gone", a.Endpoint)
	case *torrent.PeerBan:
		return fmt.Sprintf("peer %s is not asked for %s any more", a.Endpoint, what)
	case *torrent.PeerSnubbed:
		return fmt.Sprintf("peer %s does not send what it was asked for", a.Endpoint)
	case *torrent.PeerUnsnubbed:
		return fmt.Sprintf("peer %s sends again", a.Endpoint)
	case *torrent.PeerBlocked:
		return fmt.Sprintf("peer %s is blocked (%s)", a.Endpoint, a.Reason)
	case *torrent.TrackerAnnounce:
		return fmt.Sprintf("tracker %s is asked for peers of %s", trackerHost(a.URL), what)
	case *torrent.TrackerReply:
		return fmt.Sprintf("tracker %s knows %s of %s", trackerHost(a.URL), count(a.NumPeers, "peer"), what)
	case *torrent.TrackerWarning:
		return fmt.Sprintf("tracker %s answers with a warning: %s", trackerHost(a.URL), plain(a.Warning))
	case *torrent.TrackerError:
		return fmt.Sprintf("tracker %s does not help with %s: %s", trackerHost(a.URL), what, cmp.Or(plain(a.FailureReason), reason(a.Err)))
	case *torrent.DHTReply:
		return fmt.Sprintf("the DHT knows %s of %s", count(a.NumPeers, "peer"), what)
	case *torrent.DHTBootstrap:
		return "the DHT is joined"
	}
	return ""
}

// sessionPhrase is of the service as a whole; empty of anything else.
func sessionPhrase(alert torrent.Alert) string {
	switch a := alert.(type) {
	case *torrent.ListenSucceeded:
		return fmt.Sprintf("peers can connect to port %d", a.Endpoint.Port())
	case *torrent.ListenFailed:
		return fmt.Sprintf("peers cannot connect to %s, and so fewer may be found: %s", plain(a.Interface), reason(a.Err))
	case *torrent.Socks5:
		return fmt.Sprintf("the proxy does not work, and nobody is reached without it: %s", reason(a.Err))
	case *torrent.UDPError:
		return fmt.Sprintf("nothing can be sent to %s by UDP: %s", a.Endpoint, reason(a.Err))
	case *torrent.ExternalIP:
		return fmt.Sprintf("peers see this service at %s", a.Endpoint.Addr())
	case *torrent.Performance:
		if a.Warning == torrent.PerformanceMemoryLimitTooLow {
			return "the memory limit is too low for what is read at once"
		}
		return "the upload limit is so low that peers send little in return"
	case *torrent.AlertsDropped:
		return fmt.Sprintf("%s came too fast and are lost", count(int(min(a.Total, 1<<31-1)), "alert"))
	}
	return ""
}

// isNews tells whether an alert is worth to interrupt somebody for. What a tracker or a peer did wrong is not: there are others.
func isNews(alert torrent.Alert) bool {
	switch a := alert.(type) {
	case *torrent.AddTorrent:
		// One that is there already takes in what is new to it, and nothing failed.
		return a.Err != nil && !errors.Is(a.Err, torrent.ErrDuplicateTorrent)
	case *torrent.TorrentError, *torrent.FileError, *torrent.TorrentDeleteFailed, *torrent.MemoryPressure, *torrent.ListenFailed, *torrent.Socks5:
		return true
	}
	return false
}

// isLogged tells whether an alert gets a line in the log: what people did, and what is news.
func isLogged(alert torrent.Alert) bool {
	switch a := alert.(type) {
	case *torrent.AddTorrent:
		return a.Err == nil || isNews(a)
	case *torrent.TorrentRemoved, *torrent.TorrentDeleted, *torrent.MetadataReceived, *torrent.ListenSucceeded:
		return true
	}
	return isNews(alert)
}

func stateWords(state torrent.State) string {
	switch state {
	case torrent.StateCheckingFiles:
		return "checks what is there already"
	case torrent.StateDownloadingMetadata:
		return "asks peers what it is"
	case torrent.StateDownloading:
		return "is ready"
	case torrent.StateFinished:
		return "has all that is wanted"
	case torrent.StateSeeding:
		return "is complete"
	}
	return "is in state " + state.String()
}

// reason is an error's line without its last stop, as a part of a sentence.
func reason(err error) string {
	if err == nil {
		return "no reason is given"
	}
	return strings.TrimRight(plain(messageOf(err)), ".")
}

func inFile(name string) string {
	if name == "" {
		return ""
	}
	return " (" + plain(name) + ")"
}

// trackerHost is what of a tracker's address tells people something, and has no passkey.
func trackerHost(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return "of an odd address"
	}
	return plain(parsed.Host)
}

// Strangers choose these texts.
const maxPlain = 300

// plain is a text on one line, of bounded length.
func plain(text string) string {
	text = strings.TrimSpace(shown(strings.ToValidUTF8(text, "�")))
	if runes := []rune(text); len(runes) > maxPlain {
		return string(runes[:maxPlain]) + "…"
	}
	return text
}

func upper(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// size is a number of bytes as people read it.
func size(bytes int64) string {
	value, unit := float64(bytes), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1000, larger
	}
	if unit == "B" || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
