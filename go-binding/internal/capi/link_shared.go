//go:build cgo && !elementum_static

package capi

// #cgo pkg-config: elementum_torrent
import "C"
