#!/bin/sh
# Writes types.go anew from the header: `go generate ./internal/capi`.
set -eu
cd "$(dirname "$0")"
go tool cgo -godefs -- -I../../../include godefs.go | gofmt > types.go.new
rm -rf _cgo_2.o _obj
mv types.go.new types.go
