package main

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// A byteRange is a part of a file, the end not in it.
type byteRange struct {
	begin, end int64
	// It was asked for without an end: by who plays on.
	open bool
}

// More parts than these in one request are refused.
const maxRanges = 16

// rangesOf is which parts of a file a request asks for; none: all of it. The header is changed to what net/http takes the same way: it
// refuses units and orders that are to be ignored, and answers for parts of no bytes. satisfiable is false where no part of
// them is in the file, or where there are too many.
func rangesOf(r *http.Request, etag string, size int64) (ranges []byteRange, satisfiable bool) {
	asked := r.Header.Values("Range")
	if len(asked) == 0 {
		return nil, true
	}
	r.Header.Del("Range")
	condition := r.Header.Get("If-Range")
	// Ranges are for GET, of what the client has a part of already. Two headers are no range.
	if r.Method != http.MethodGet || len(asked) > 1 || condition != "" && condition != etag {
		return nil, true
	}
	ranges, valid := parseRanges(asked[0], size)
	if !valid {
		return nil, true
	}
	var sum int64
	specs := make([]string, len(ranges))
	for i, part := range ranges {
		sum += part.end - part.begin
		specs[i] = fmt.Sprintf("%d-%d", part.begin, part.end-1)
	}
	switch {
	case len(ranges) == 0:
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", size))
		return nil, false
	case len(ranges) > 1 && sum > size:
		// They overlap: the whole is less.
		return nil, true
	}
	r.Header.Set("Range", "bytes="+strings.Join(specs, ","))
	return ranges, true
}

// parseRanges reads a Range header as RFC 9110, 14.1 has it: those of its parts that are in the file. It is not valid, and to be ignored,
// where its unit is another one, or a single part of it is none.
func parseRanges(header string, size int64) (ranges []byteRange, valid bool) {
	unit, set, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, false
	}
	count := 0
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		first, last, ok := strings.Cut(spec, "-")
		if !ok || first == "" && last == "" {
			return nil, false
		}
		begin, beginOK := parsePosition(first)
		end, endOK := parsePosition(last)
		if !beginOK || !endOK || first != "" && last != "" && end < begin {
			return nil, false
		}
		count++
		part := byteRange{begin: begin, end: size, open: last == ""}
		switch {
		case first == "":
			part.begin = size - min(end, size)
		case last != "":
			part.end = min(end, size-1) + 1
		}
		if part.begin < part.end && count <= maxRanges {
			ranges = append(ranges, part)
		}
	}
	if count > maxRanges {
		return nil, true
	}
	return ranges, count > 0
}

// parsePosition reads digits; more of them than a number holds are the greatest one.
func parsePosition(digits string) (int64, bool) {
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	if digits == "" {
		return 0, true
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return math.MaxInt64 - 1, true
	}
	return number, true
}
