package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"
)

// A boundedBody is a request's body with a bound in bytes and in time.
type boundedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func boundBody(w http.ResponseWriter, r *http.Request, most int64) *boundedBody {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	return &boundedBody{http.MaxBytesReader(w, r.Body, most), control}
}

// done takes the time's bound away: it would end the next request of the connection.
func (b *boundedBody) done() { _ = b.control.SetReadDeadline(time.Time{}) }

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errTooBig
	}
	body := boundBody(w, r, most)
	defer body.done()
	content, err := io.ReadAll(body)
	return content, bodyError(err)
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

// readJSON reads an object that has no other fields than into has.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "application/json is wanted"}
	}
	body := boundBody(w, r, maxJSON)
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
