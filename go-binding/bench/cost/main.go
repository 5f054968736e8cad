//go:build cgo

// Command cost measures what crossing into C costs a Go program: calls, alerts, reads, a reader's wake-up. What is compared within Go
// runs in turn here; what is compared with SWIG, the bench program runs in turn with ../swig.
//
// It prints one JSON object: medians of nanoseconds where the name ends in _ns, of microseconds where it ends in _us.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"elementum.example/torrent"
)

// Each opens what it needs and closes it. To run one alone, name it: cost wake.
var parts = []struct {
	name    string
	measure func(figures map[string]float64) error
}{{"calls", calls}, {"alerts", alerts}, {"reads", reads}, {"wake", wake}}

func main() {
	figures := map[string]float64{}
	for _, part := range parts {
		if wanted := os.Args[1:]; len(wanted) > 0 && !slices.Contains(wanted, part.name) {
			continue
		}
		if err := part.measure(figures); err != nil {
			fail(part.name + ": " + err.Error())
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(figures); err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "cost:", message)
	os.Exit(1)
}

// quiet are settings of a session that talks to nobody but the peers it is told of.
func quiet(more torrent.Settings) torrent.Config {
	settings := torrent.Settings{"enable_dht": false, "enable_lsd": false, "enable_upnp": false, "enable_natpmp": false}
	for name, value := range more {
		settings[name] = value
	}
	return torrent.Config{ListenInterfaces: "127.0.0.1:0", Settings: settings}
}

// Nobody has it: a torrent that does nothing by itself. The same as that of ../swig.
const magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=nobody+has+this"

// each is the nanoseconds of one of n that began then.
func each(began time.Time, n int) float64 {
	return float64(time.Since(began).Nanoseconds()) / float64(n)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
