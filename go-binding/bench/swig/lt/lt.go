// Package lt is libtorrent through SWIG, as the service before this library had it: go build runs swig on lt.swigcxx.
package lt

// #cgo pkg-config: libtorrent-rasterbar
// #cgo CXXFLAGS: -std=c++17
import "C"

// QueryName is the flag of TorrentHandle.Status that the old service gave.
const QueryName = 1 << 2
