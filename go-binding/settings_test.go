package torrent_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"elementum.example/torrent"
)

// settingsTable are the rows of docs/settings.md: cells without the bars between them.
func settingsTable(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/settings.md")
	must(t, err)
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00")
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|")
		}
		rows = append(rows, cells)
	}
	return rows
}

// The table of the documents is what DescribeSettings tells, in the same order and to the last word: nothing of it is cut where it goes through C.
func TestTheSettingsTableIsWhatIsTold(t *testing.T) {
	var told [][]string
	for info := range torrent.DescribeSettings() {
		if !info.Effective {
			continue
		}
		row := []string{"`" + info.Name + "`", "int", fmt.Sprint(info.Default), fmt.Sprintf("%d to %d", info.Min, info.Max), "no", info.Doc}
		switch value := info.Default.(type) {
		case bool:
			row[1], row[3] = "bool", ""
		case string:
			row[1], row[2], row[3] = "string", "`"+value+"`", ""
			if value == "" {
				row[2] = "empty"
			}
		}
		if info.Live {
			row[4] = "yes"
		}
		told = append(told, row)
	}
	table := settingsTable(t)
	if len(told) < 40 || !slices.EqualFunc(told, table, slices.Equal) {
		for i := range max(len(told), len(table)) {
			if i >= len(told) || i >= len(table) || !slices.Equal(told[i], table[i]) {
				t.Fatalf("row %d of %d and %d:\n%q\n%q", i, len(told), len(table), told[min(i, len(told)-1)], table[min(i, len(table)-1)])
			}
		}
		t.Error(len(told))
	}
	// Names of C's constants and functions are for C's documents.
	for _, row := range told {
		if strings.Contains(row[5], "ET_") || strings.Contains(row[5], "et_") {
			t.Errorf("%q", row)
		}
	}
}

// otherValues are values that a setting has not now. The first that is allowed is one.
func otherValues(info torrent.SettingInfo, now any) []any {
	switch value := now.(type) {
	case bool:
		return []any{!value}
	case int64:
		return []any{min(value+1, info.Max), max(value-1, info.Min)}
	}
	return []any{"disk", "127.0.0.1:1", "127.0.0.1", "x"}
}

// A setting is live where the table says so, and nowhere else; and a session tells what it was set to.
func TestSettingsAreAsLiveAsTheTableSays(t *testing.T) {
	session := open(t, torrent.Settings{"dht_bootstrap_nodes": ""})
	before, err := session.Settings()
	must(t, err)
	live := map[string]bool{}
	for _, row := range settingsTable(t) {
		live[strings.Trim(row[0], "`")] = row[4] == "yes"
	}
	if names := slices.Sorted(maps.Keys(before)); !slices.Equal(names, slices.Sorted(maps.Keys(live))) {
		t.Errorf("the session has %q", names)
	}
	tried := 0
	for info := range torrent.DescribeSettings() {
		is, known := live[info.Name]
		if !known {
			continue
		}
		for _, value := range otherValues(info, before[info.Name]) {
			err := session.ApplySettings(torrent.Settings{info.Name: value})
			if errors.Is(err, torrent.ErrInvalidArgument) || value == before[info.Name] {
				continue
			}
			now, failed := session.Settings()
			must(t, failed)
			switch {
			case is && (err != nil || now[info.Name] != value):
				t.Errorf("%s=%v: %v, %v", info.Name, value, now[info.Name], err)
			case !is && (!errors.Is(err, torrent.ErrUnsupported) || !strings.Contains(err.Error(), info.Name) || now[info.Name] != before[info.Name]):
				t.Errorf("%s=%v is not live: %v, %v", info.Name, value, now[info.Name], err)
			}
			tried++
			break
		}
		// The value that it has is none that it is changed to, live or not.
		must(t, session.ApplySettings(torrent.Settings{info.Name: before[info.Name]}))
	}
	if tried != len(live) {
		t.Errorf("%d of %d had another value", tried, len(live))
	}
	if after, err := session.Settings(); err != nil || !maps.Equal(after, before) {
		t.Error(after, err)
	}
}

// What documents and comments call a setting is one, and one that does something.
func TestDocumentsNameSettingsThatDoSomething(t *testing.T) {
	effective := map[string]bool{}
	for info := range torrent.DescribeSettings() {
		effective[info.Name] = info.Effective
	}
	files, err := filepath.Glob("*.go")
	must(t, err)
	service, err := filepath.Glob("cmd/elementum-stream/*.go")
	must(t, err)
	files = append(append(files, service...), "../README.md", "../docs/design.md", "../include/elementum_torrent.h", "../examples/stream.c", "../docs/settings.md")
	// Words in the form of names that are settings' in libtorrent, and what is said to be one.
	word, said := regexp.MustCompile(`[a-z0-9]+(?:_[a-z0-9]+)+`), regexp.MustCompile("settings? [\"`]([a-z0-9_]+)[\"`]")
	named := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		must(t, err)
		for _, found := range word.FindAllString(string(text), -1) {
			if does, known := effective[found]; known && !does {
				t.Errorf("%s: %s does nothing", name, found)
			} else if does {
				named++
			}
		}
		for _, found := range said.FindAllStringSubmatch(string(text), -1) {
			if !effective[found[1]] {
				t.Errorf("%s: %s", name, found[0])
			}
		}
	}
	if named < 60 {
		t.Error(named)
	}
}
