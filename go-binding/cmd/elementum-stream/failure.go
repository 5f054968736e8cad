package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"elementum.example/torrent"
)

// A failure is an error as a client gets it.
type failure struct {
	status     int
	code       string
	message    string
	retryAfter string
}

func (f *failure) Error() string { return f.message }

func badRequest(code, message string) *failure {
	return &failure{status: http.StatusBadRequest, code: code, message: message}
}

var (
	errNoPage    = &failure{status: http.StatusNotFound, code: "not_found", message: "there is nothing at this address"}
	errMethod    = &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address does not take that method"}
	errNoTorrent = &failure{status: http.StatusNotFound, code: "no_torrent", message: "no torrent has this storage index, or it was removed"}
	errNoFile    = &failure{status: http.StatusNotFound, code: "no_file", message: "the torrent has no file of this number"}
	errTooBig    = &failure{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "this is larger than what is taken"}
	errBusy      = &failure{status: http.StatusServiceUnavailable, code: "too_many", message: "too many of these are open; close one", retryAfter: "5"}
)

// failures are the library's errors.
var failures = []struct {
	code       torrent.Code
	status     int
	name       string
	retryAfter string
}{
	{torrent.ErrInvalidStorageIndex, http.StatusNotFound, "no_torrent", ""},
	{torrent.ErrNotFound, http.StatusNotFound, "not_found", ""},
	{torrent.ErrNoMetadata, http.StatusServiceUnavailable, "no_metadata", "2"},
	{torrent.ErrInvalidArgument, http.StatusBadRequest, "invalid_argument", ""},
	{torrent.ErrParse, http.StatusBadRequest, "malformed", ""},
	{torrent.ErrUnsupported, http.StatusUnprocessableEntity, "unsupported", ""},
	{torrent.ErrOutOfMemory, http.StatusInsufficientStorage, "out_of_memory", ""},
	{torrent.ErrBusy, http.StatusConflict, "busy", ""},
	{torrent.ErrTimedOut, http.StatusGatewayTimeout, "timed_out", ""},
	{torrent.ErrClosed, http.StatusServiceUnavailable, "closing", ""},
}

func toFailure(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return errTooBig
	}
	for _, f := range failures {
		if errors.Is(err, f.code) {
			return &failure{status: f.status, code: f.name, message: messageOf(err), retryAfter: f.retryAfter}
		}
	}
	if errors.Is(err, context.Canceled) {
		return &failure{status: http.StatusServiceUnavailable, code: "closing", message: "the service is ending"}
	}
	return &failure{status: http.StatusInternalServerError, code: "internal", message: err.Error()}
}

// messageOf is the library's line, without the name of the Go call.
func messageOf(err error) string {
	var known *torrent.Error
	if errors.As(err, &known) && known.Message != "" {
		return withoutErrno(known.Message)
	}
	return withoutErrno(strings.TrimPrefix(err.Error(), "torrent: "))
}

var errno = regexp.MustCompile(` \(os error \d+\)`)

// withoutErrno is a message without the system's number for it, which tells people nothing beside its words.
func withoutErrno(message string) string { return errno.ReplaceAllLiteralString(message, "") }

// fail answers with an error.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	f := toFailure(err)
	header := w.Header()
	for _, name := range []string{"ETag", "Accept-Ranges", "Content-Disposition"} {
		header.Del(name)
	}
	if f.retryAfter != "" {
		header.Set("Retry-After", f.retryAfter)
	}
	reply(w, r, f.status, errorBody{errorView{f.code, f.message}})
}

type errorBody struct {
	Error errorView `json:"error"`
}

type errorView struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// reply answers with JSON.
func reply(w http.ResponseWriter, r *http.Request, status int, value any) {
	text, err := encode(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// Who does not listen any more misses nothing.
		_, _ = w.Write(append(text, '\n'))
	}
}

func serveBytes(w http.ResponseWriter, r *http.Request, content []byte) {
	if _, err := rangesOf(r, "", int64(len(content))); err != nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(content)))
		fail(w, r, err)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
