package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"elementum.example/torrent"
)

const (
	// How long a stream or a playlist waits for metadata, where the request does not say; and at most.
	metadataWait    = 20 * time.Second
	maxMetadataWait = time.Minute
	// Requests that wait for it at once. Others are told at once that it is missing.
	maxMetadataWaits = 64
)

// waitMetadata waits until it is known what is in the torrent: for so many seconds as the request's `wait` says.
func (s *service) waitMetadata(w http.ResponseWriter, r *http.Request, target *torrent.Torrent) error {
	wait := metadataWait
	if text := r.URL.Query().Get("wait"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds >= 0 && seconds <= maxMetadataWait.Seconds()) {
			return badRequest("invalid_argument", fmt.Sprintf("wait: 0 to %.0f seconds are wanted", maxMetadataWait.Seconds()))
		}
		wait = time.Duration(seconds * float64(time.Second))
	}
	if _, err := target.Info(); err == nil || !errors.Is(err, torrent.ErrNoMetadata) {
		return err
	}
	if wait > 0 && s.waits.enter(r.Context(), 0) == nil {
		defer s.waits.leave()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + writeTimeout))
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		err := target.WaitMetadata(ctx)
		if err == nil || r.Context().Err() != nil || !errors.Is(err, torrent.ErrTimedOut) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	} else {
		wait = 0
	}
	return &failure{status: http.StatusServiceUnavailable, code: "no_metadata", retryAfter: "2",
		message: fmt.Sprintf("it is not known yet what is in the torrent; no peer sent it within %v", wait)}
}
