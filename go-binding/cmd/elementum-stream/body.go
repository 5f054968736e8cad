package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"
)

// Bounds of bodies that are read at once: of the small ones, and of torrent files, which are kept until they are added.
const (
	maxSmallBodies, maxSmallWaiting = 32, 32
	maxLargeBodies, maxLargeWaiting = 2, 32
	// A body may stand still for so long.
	bodyStall = 10 * time.Second
)

// endBodies sees to it that a body which nobody reads holds nothing: unless a handler reads it to its end, the connection closes, and
// what is still to come is not waited for.
func endBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		body := &watchedBody{ReadCloser: r.Body}
		// A copy: the server looks at its own request's body to tell whether it closes early, and then closes in a way that leaves the
		// client time to read the answer.
		r = r.WithContext(r.Context())
		r.Body = body
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
		if !body.ended {
			until := time.Unix(1, 0)
			if body.comes {
				until = time.Now().Add(restOfBody)
			}
			_ = http.NewResponseController(w).SetReadDeadline(until)
		}
	})
}

// How long the rest of a body may come that was refused for its length.
const restOfBody = time.Second

// A watchedBody knows whether it was read to its end, and whether more of it is taken though it was refused.
type watchedBody struct {
	io.ReadCloser
	ended, comes bool
}

func (b *watchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// A boundedBody is a request's body with a bound in bytes and in time.
type boundedBody struct {
	io.ReadCloser
	writer  http.ResponseWriter
	request *http.Request
	control *http.ResponseController
	until   time.Time
}

func boundBody(w http.ResponseWriter, r *http.Request, most int64) *boundedBody {
	control := http.NewResponseController(w)
	return &boundedBody{http.MaxBytesReader(w, r.Body, most), w, r, control, time.Now().Add(bodyTimeout)}
}

func (b *boundedBody) Read(into []byte) (int, error) {
	deadline := time.Now().Add(bodyStall)
	if deadline.After(b.until) {
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline)
	return b.ReadCloser.Read(into)
}

// done takes the time's bound away: it would end the next request of the connection. One whose body came whole may have a next one.
func (b *boundedBody) done() {
	_ = b.control.SetReadDeadline(time.Time{})
	if watched, ok := b.request.Body.(*watchedBody); ok && watched.ended {
		b.writer.Header().Del("Connection")
	}
}

// takeUpload waits for a place among those who may have a torrent file in memory. Whoever got one gives it back when that is added.
func (s *service) takeUpload(ctx context.Context, w http.ResponseWriter) (release func(), err error) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2*bodyTimeout + writeTimeout))
	if err := s.uploads.enter(ctx, bodyTimeout); err != nil {
		return nil, err
	}
	return s.uploads.leave, nil
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body := boundBody(w, r, most)
	defer body.done()
	content, err := readAll(body, r.ContentLength)
	return content, bodyError(err)
}

// readAll is io.ReadAll for what has told its length. It is believed once a part of it is here: a number alone reserves nothing.
func readAll(from io.Reader, told int64) ([]byte, error) {
	const first = 64 << 10
	start, err := io.ReadAll(io.LimitReader(from, first))
	if err != nil || len(start) < first {
		return start, err
	}
	content := make([]byte, len(start), max(int(min(told, maxTorrentFile)), 2*first)+1)
	copy(content, start)
	for {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := from.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if err == io.EOF {
			return content, nil
		}
		if err != nil {
			return content, err
		}
	}
}

func bodyError(err error) error {
	var tooBig *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooBig):
		return errTooBig
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: http.StatusRequestTimeout, code: "timed_out", message: "the request's body did not come in time"}
	}
	return badRequest("malformed", "the request's body could not be read")
}

// refuseLength refuses a body for the length that is told. What comes of it all the same is thrown away for a moment: the client is still
// writing, and would see a reset in place of the answer.
func refuseLength(r *http.Request) error {
	if watched, ok := r.Body.(*watchedBody); ok {
		watched.comes = true
	}
	return errTooBig
}

// readJSON reads an object that has no other fields than into has.
func (s *service) readJSON(w http.ResponseWriter, r *http.Request, most int64, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "application/json is wanted"}
	}
	if r.ContentLength > most {
		return refuseLength(r)
	}
	places := s.bodies
	if most > maxJSON && (r.ContentLength > maxJSON || r.ContentLength < 0) {
		// It may be large.
		places = s.uploads
	}
	if err := places.enter(r.Context(), bodyStall); err != nil {
		return err
	}
	defer places.leave()
	body := boundBody(w, r, most)
	defer body.done()
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) || errors.Is(err, os.ErrDeadlineExceeded) {
			return bodyError(err)
		}
		return badRequest("malformed", "the JSON is not what is wanted: "+err.Error())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return badRequest("malformed", "there is something behind the JSON")
	}
	return nil
}
