// Package history keeps the results of the last syncs of each upload in a file of the state
// directory, so that the chart of the status page outlives the process.
//
// `baton-host run` reads it when it starts and writes it after each sync of everything. It
// must never have more than counts, times, grades, the names from the configuration and reasons
// in the host's own words (see errtext.Public), nor keep a host from running: a damaged file is
// left out.
package history

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/status"
)

// largest is how large a file is read, in bytes: far more than is ever written.
const largest = 16 << 20

// form is the form of the file.
var form = files.Form{Version: 1, Without: "the chart of the status page begins with the next sync"}

// File is the file of one state directory. Its methods may be called concurrently.
type File struct {
	path string
	mu   sync.Mutex
}

// In is the file of a state directory.
func In(stateDir string) *File { return &File{path: filepath.Join(stateDir, "history.json")} }

// content is what is in the file.
type content struct {
	Version int                `json:"version"`
	Uploads map[string][]entry `json:"uploads"`
}

// entry is a sync that has ended.
type entry struct {
	At       time.Time      `json:"at"`
	State    status.State   `json:"state"`
	Seconds  float64        `json:"seconds"`
	Bytes    int64          `json:"bytes,omitempty"`
	Accounts int            `json:"accounts"`
	ByPlugin map[string]int `json:"by_plugin,omitempty"`
	Skipped  int            `json:"skipped_resources,omitempty"`
	Missing  []string       `json:"missing_plugins,omitempty"`
	// Evidence is missing where an older version wrote the file.
	Evidence baseline.Grade `json:"evidence,omitempty"`
	// Why and FailedPlugins are missing there too.
	Why           string            `json:"why,omitempty"`
	FailedPlugins map[string]string `json:"failed_plugins,omitempty"`
}

// Read returns the last syncs by upload, the oldest first; none where there is no
// file. The error says in a sentence why it cannot be used.
func (f *File) Read() (map[string][]status.Sync, error) {
	data, err := f.read()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept content
	if err := form.Decode(f.path, data, &kept); err != nil {
		return nil, err
	}
	syncs := map[string][]status.Sync{}
	for upload, all := range kept.Uploads {
		for _, s := range all {
			syncs[upload] = append(syncs[upload], status.Sync{
				At: s.At, State: s.State, Took: time.Duration(s.Seconds * float64(time.Second)),
				Bytes: s.Bytes, Accounts: s.Accounts, ByPlugin: s.ByPlugin, SkippedResources: s.Skipped, Missing: s.Missing, Evidence: s.Evidence,
				Why: s.Why, FailedPlugins: s.FailedPlugins,
			})
		}
	}
	return syncs, nil
}

// read returns the file's content; of one that is too large, a part.
func (f *File) read() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, largest))
}

// Write replaces the file with the history of a board: read in here, so that of two
// writers the last one has the latest. It leaves a file that a newer host wrote as it is.
func (f *File) Write(board *status.Board) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if data, err := f.read(); err == nil {
		if err := form.Check(f.path, data); files.IsNewer(err) {
			return err
		}
	}
	kept := content{Version: form.Version, Uploads: map[string][]entry{}}
	for upload, all := range board.History() {
		for _, s := range all {
			kept.Uploads[upload] = append(kept.Uploads[upload], entry{
				At: s.At, State: s.State, Seconds: s.Took.Seconds(), Bytes: s.Bytes, Accounts: s.Accounts, ByPlugin: s.ByPlugin, Skipped: s.SkippedResources, Missing: s.Missing, Evidence: s.Evidence,
				Why: s.Why, FailedPlugins: s.FailedPlugins,
			})
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return files.Replace(f.path, data)
}
