package main

import (
	"path"
	"strings"
)

// A mediaKind is what a file is for a player.
type mediaKind string

const (
	kindVideo    mediaKind = "video"
	kindAudio    mediaKind = "audio"
	kindSubtitle mediaKind = "subtitle"
	kindOther    mediaKind = "other"
)

type media struct {
	kind        mediaKind
	contentType string
}

// mediaTypes go by the extension alone: to look inside would fetch the first piece, and would let a torrent choose what a browser
// takes it for. There is none among them that can run scripts.
var mediaTypes = map[string]media{
	".3gp":  {kindVideo, "video/3gpp"},
	".avi":  {kindVideo, "video/x-msvideo"},
	".flv":  {kindVideo, "video/x-flv"},
	".m2ts": {kindVideo, "video/mp2t"},
	".m4v":  {kindVideo, "video/mp4"},
	".mkv":  {kindVideo, "video/x-matroska"},
	".mov":  {kindVideo, "video/quicktime"},
	".mp4":  {kindVideo, "video/mp4"},
	".mpeg": {kindVideo, "video/mpeg"},
	".mpg":  {kindVideo, "video/mpeg"},
	".mts":  {kindVideo, "video/mp2t"},
	".ogv":  {kindVideo, "video/ogg"},
	".ts":   {kindVideo, "video/mp2t"},
	".vob":  {kindVideo, "video/mpeg"},
	".webm": {kindVideo, "video/webm"},
	".wmv":  {kindVideo, "video/x-ms-wmv"},

	".aac":  {kindAudio, "audio/aac"},
	".ac3":  {kindAudio, "audio/ac3"},
	".dts":  {kindAudio, "audio/vnd.dts"},
	".flac": {kindAudio, "audio/flac"},
	".m4a":  {kindAudio, "audio/mp4"},
	".m4b":  {kindAudio, "audio/mp4"},
	".mka":  {kindAudio, "audio/x-matroska"},
	".mp3":  {kindAudio, "audio/mpeg"},
	".oga":  {kindAudio, "audio/ogg"},
	".ogg":  {kindAudio, "audio/ogg"},
	".opus": {kindAudio, "audio/ogg"},
	".wav":  {kindAudio, "audio/wav"},
	".wma":  {kindAudio, "audio/x-ms-wma"},

	".ass": {kindSubtitle, "text/x-ssa; charset=utf-8"},
	".srt": {kindSubtitle, "application/x-subrip"},
	".ssa": {kindSubtitle, "text/x-ssa; charset=utf-8"},
	".sub": {kindSubtitle, "text/plain; charset=utf-8"},
	".vtt": {kindSubtitle, "text/vtt; charset=utf-8"},
}

func mediaOf(name string) media {
	if known, ok := mediaTypes[strings.ToLower(path.Ext(name))]; ok {
		return known
	}
	return media{kindOther, "application/octet-stream"}
}

// plays tells whether it belongs into a playlist.
func (m media) plays() bool { return m.kind == kindVideo || m.kind == kindAudio }
