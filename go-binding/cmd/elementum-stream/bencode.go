package main

import (
	"crypto/sha1"
	"maps"
	"slices"
	"strconv"
)

// bencode appends a value (BEP 3): int, string, []byte, []any, map[string]any.
func bencode(into []byte, value any) []byte {
	switch value := value.(type) {
	case int:
		into = append(into, 'i')
		into = strconv.AppendInt(into, int64(value), 10)
		return append(into, 'e')
	case string:
		into = strconv.AppendInt(into, int64(len(value)), 10)
		into = append(into, ':')
		return append(into, value...)
	case []byte:
		return bencode(into, string(value))
	case []any:
		into = append(into, 'l')
		for _, item := range value {
			into = bencode(into, item)
		}
		return append(into, 'e')
	case map[string]any:
		into = append(into, 'd')
		for _, key := range slices.Sorted(maps.Keys(value)) {
			into = bencode(into, key)
			into = bencode(into, value[key])
		}
		return append(into, 'e')
	}
	return into
}

// singleFileTorrent is the torrent file (v1) of one file.
func singleFileTorrent(name string, content []byte, pieceLength int) []byte {
	var pieces []byte
	for piece := range slices.Chunk(content, pieceLength) {
		hash := sha1.Sum(piece)
		pieces = append(pieces, hash[:]...)
	}
	return bencode(nil, map[string]any{
		"info": map[string]any{
			"length":       len(content),
			"name":         name,
			"piece length": pieceLength,
			"pieces":       pieces,
		},
	})
}
