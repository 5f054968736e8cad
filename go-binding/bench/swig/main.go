// Command swig measures what the same costs as in ../cost, through SWIG over libtorrent 2.0. It prints one JSON object: medians, nanoseconds.
//
// It is a module of its own, so that the package builds and vets without swig and libtorrent.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"elementum.example/torrent/bench/swig/lt"
)

const (
	magnet  = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=nobody+has+this"
	rounds  = 15
	calls   = 200
	batches = 100
	batch   = 256
)

func main() {
	session := lt.NewSession()
	defer lt.DeleteSession(session)
	handle := session.AddMagnet(magnet)
	if !handle.IsValid() {
		fail("the torrent was not added")
	}
	figures := map[string]float64{}
	var each, once []float64
	for range rounds {
		each = append(each, perCall(func() { eachField(handle) }))
		once = append(once, perCall(func() { allFields(handle) }))
	}
	figures["status_ns"], figures["status_once_ns"] = median(each), median(once)
	figures["alert_ns"] = alerts(session, handle)
	if err := json.NewEncoder(os.Stdout).Encode(figures); err != nil {
		fail(err.Error())
	}
}

// The fields go somewhere, so that the compiler cannot leave them out.
var sink struct {
	progress    float32
	done, total int64
	down, up    int
	peers       int
	seeds       int
	metadata    bool
	state       int
}

// status gives f the torrent's status, a copy on C++'s heap, and deletes it.
func status(handle lt.TorrentHandle, f func(lt.TorrentStatus)) {
	status := handle.Status(lt.QueryName)
	f(status)
	lt.DeleteTorrentStatus(status)
}

// eachField is nine questions of the program's, each of which asks the handle: it goes to libtorrent's thread and waits there.
func eachField(handle lt.TorrentHandle) {
	status(handle, func(s lt.TorrentStatus) { sink.state = s.GetState() })
	status(handle, func(s lt.TorrentStatus) { sink.progress = s.GetProgress() })
	status(handle, func(s lt.TorrentStatus) { sink.done = s.GetTotalDone() })
	status(handle, func(s lt.TorrentStatus) { sink.total = s.GetTotalWanted() })
	status(handle, func(s lt.TorrentStatus) { sink.down = s.GetDownloadPayloadRate() })
	status(handle, func(s lt.TorrentStatus) { sink.up = s.GetUploadPayloadRate() })
	status(handle, func(s lt.TorrentStatus) { sink.peers = s.GetNumPeers() })
	status(handle, func(s lt.TorrentStatus) { sink.seeds = s.GetNumSeeds() })
	status(handle, func(s lt.TorrentStatus) { sink.metadata = s.GetHasMetadata() })
}

// allFields is what a program does that thinks of it: it asks once. Told beside the figure, not part of it.
func allFields(handle lt.TorrentHandle) {
	status(handle, func(s lt.TorrentStatus) {
		sink.state, sink.progress = s.GetState(), s.GetProgress()
		sink.done, sink.total = s.GetTotalDone(), s.GetTotalWanted()
		sink.down, sink.up = s.GetDownloadPayloadRate(), s.GetUploadPayloadRate()
		sink.peers, sink.seeds, sink.metadata = s.GetNumPeers(), s.GetNumSeeds(), s.GetHasMetadata()
	})
}

func perCall(f func()) float64 {
	began := time.Now()
	for range calls {
		f()
	}
	return float64(time.Since(began).Nanoseconds()) / calls
}

var taken struct {
	kind          int
	category      uint
	what, message string
}

// alerts is nanoseconds an alert, once it is out of the queue: Get, type, category, what, message.
func alerts(session lt.Session, handle lt.TorrentHandle) float64 {
	popped := lt.NewStdVectorAlerts()
	defer lt.DeleteStdVectorAlerts(popped)
	var times []float64
	for range batches + 1 {
		session.PopAlerts(popped)
		for range batch / 2 {
			handle.Pause()
			handle.Resume()
		}
		// Its answer comes after all that was asked for before.
		status(handle, func(lt.TorrentStatus) {})
		session.PopAlerts(popped)
		n := int(popped.Size())
		if n < batch {
			fail(fmt.Sprintf("only %d alerts of %d", n, batch))
		}
		began := time.Now()
		for i := range n {
			alert := popped.Get(i)
			taken.kind, taken.category = alert.Type(), alert.Category()
			taken.what, taken.message = alert.What(), alert.Message()
		}
		times = append(times, float64(time.Since(began).Nanoseconds())/float64(n))
	}
	// The first is the warm-up.
	return median(times[1:])
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "swig:", message)
	os.Exit(1)
}
