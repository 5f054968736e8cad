// Package torrent streams out of torrents: a program adds one, opens a reader, and reads a file's bytes while they download, from
// memory that never exceeds its limit. It is libelementum_torrent, a library with a C ABI, as a Go package.
//
//	session, err := torrent.Open(torrent.Config{MemoryLimit: 64 << 20})
//	…
//	defer session.Close()
//	added, err := session.AddTorrent(torrent.AddTorrentParams{Magnet: link})
//	…
//	if err := added.WaitMetadata(ctx); err != nil { … }
//	reader, err := added.NewReader(0, torrent.WithContext(r.Context()))
//	…
//	defer reader.Close()
//	http.ServeContent(w, r, "film.mkv", time.Time{}, reader)
//
// The request's context ends the read of a client that leaves while nothing comes; without it the handler would wait on.
//
// # Lifetime
//
// There are two things to close, [Session] and [Reader], in any order. A [Torrent] is only a name: its [StorageIndex] in its session. After
// Close every call but Close returns [ErrClosed], which also is [io/fs.ErrClosed]; a removed torrent's calls return
// [ErrInvalidStorageIndex]. Nothing that is called late, twice, or by the wrong goroutine can crash the program. Close of nil does nothing,
// and a context that is nil never ends.
//
// # Zero
//
// A field of a struct that is left at zero says nothing: the session does as it sees fit. An option or an argument that is given means what
// it says: WithLookbehind(0) keeps nothing, SetDownloadLimit(0) is no limit. Negative numbers are refused.
//
// # Goroutines and threads
//
// All methods may be called from any goroutine, at once. A reader has one position: who reads or seeks while another does gets
// [ErrBusy]. Waits, of readers and for alerts, are parked in Go's poller; they hold no thread, and end with their context, with Close, and
// with the torrent's removal. No other call waits, but [Session.Close] for a bounded time. The library calls nothing of the program's: there
// are no callbacks. A session's own threads take no signals.
//
// # Memory
//
// All payload of a session, on its way, stored, or read, lies in blocks under [Config].MemoryLimit. A piece that no reader needs makes
// room, and is fetched again when it is wanted. Readers keep what is just behind them; [Torrent.SetLookbehind] keeps pieces by name.
//
// # Alerts
//
// What happens is told by alerts: typed values that own their data, from a bounded queue. [Session.Alerts] is the loop for one consumer,
// [AlertFeed] for several and for those of one torrent, [Session.PopAlertsInto] for loops that want no garbage. A program that reads none
// loses nothing but alerts.
//
// # Linking
//
// The package finds the library by pkg-config (elementum_torrent.pc, which `make install` puts there); a program needs the shared library
// when it runs. With the build tag elementum_static the library is part of the program (elementum_torrent-static.pc). Without cgo the
// package compiles, and [Open] returns [ErrUnsupported].
//
// With the build tag elementum_leakcheck a program ends, and says where it was opened, when a session or a reader is collected that
// nobody closed. Without it such a handle is freed then.
package torrent
