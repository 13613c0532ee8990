package state

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/review"
)

// localCopy is what a host keeps of a shared state: a directory for each generation that is in
// use, whose files never change, and a record that says which one counts. Files that two
// generations have in common are one file with two names.
type localCopy struct {
	dir  string // of all generations
	base string // the name of the sync file

	mu    sync.Mutex
	known copyRecord
	pins  map[string]int // how many read in a generation's directory
}

// copyRecord is what the record of a copy says.
type copyRecord struct {
	Version int `json:"version"`
	// Location and Store are of what it is a copy.
	Location string `json:"location"`
	Store    string `json:"store"`
	// ConfirmedAt is when the generation was last seen to be the newest.
	ConfirmedAt time.Time   `json:"confirmed_at,omitzero"`
	Generation  *generation `json:"generation,omitempty"`
	Dir         string      `json:"directory,omitempty"`
	// Pending is a baseline that C1 has accepted and that is not in the store yet.
	Pending *pending `json:"pending,omitempty"`
}

// pending is a baseline that is on the way into the store.
type pending struct {
	// Dir has all files of the state as they are for this host, with the new baseline.
	Dir string `json:"directory"`
	// Baseline names it, and Since the one in the store that it takes the place of.
	Baseline string   `json:"baseline"`
	Since    string   `json:"since,omitempty"`
	Fresh    []string `json:"fresh,omitempty"`
}

const (
	copyName   = "copy.json"
	tempPrefix = "new-"
)

// openCopy opens what a directory has. What is damaged, or of another place, is not used.
func openCopy(dir, base, location string) *localCopy {
	c := &localCopy{dir: dir, base: base, pins: map[string]int{}}
	c.known = copyRecord{Location: location}
	var read copyRecord
	data, err := os.ReadFile(filepath.Join(dir, copyName))
	if err != nil || form.Decode(copyName, data, &read) != nil || read.Location != location {
		return c
	}
	if read.Generation != nil && !c.holds(read.Dir, read.Generation) {
		return c
	}
	if read.Pending != nil && !c.isThere(read.Pending.Dir) {
		read.Pending = nil
	}
	c.known = read
	return c
}

// isThere reports whether a directory of a generation is there.
func (c *localCopy) isThere(name string) bool {
	info, err := os.Stat(filepath.Join(c.dir, filepath.Base(name)))
	return name == filepath.Base(name) && err == nil && info.IsDir()
}

// holds reports whether a directory has all files of a generation, as they were written.
func (c *localCopy) holds(name string, of *generation) bool {
	if !c.isThere(name) {
		return false
	}
	for _, one := range of.Files {
		if sum, err := files.Sum(c.path(name)+one.Suffix, files.Whole); err != nil || sum != one.Sum {
			return false
		}
	}
	return true
}

// path is that of the sync file in a directory of this name.
func (c *localCopy) path(name string) string { return filepath.Join(c.dir, name, c.base) }

// now returns what is known.
func (c *localCopy) now() copyRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// write replaces the record; in memory it counts also where that fails.
func (c *localCopy) write(next copyRecord) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next.Version = form.Version
	c.known = next
	c.sweep()
	data, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = os.MkdirAll(c.dir, 0o700)
	}
	if err == nil {
		err = files.Replace(filepath.Join(c.dir, copyName), data)
	}
	if err != nil {
		return fmt.Errorf("the local copy of the shared state cannot be written: %w; make room in %s", err, c.dir)
	}
	return nil
}

// needs is called with the lock held.
func (c *localCopy) needs(name string) bool {
	return name == c.known.Dir || c.known.Pending != nil && name == c.known.Pending.Dir || c.pins[name] > 0
}

// sweep removes directories that nothing needs. It is called with the lock held, when none is
// being made.
func (c *localCopy) sweep() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !c.needs(name) && !strings.HasPrefix(name, tempPrefix) {
			_ = os.RemoveAll(filepath.Join(c.dir, name))
		}
	}
}

// clear removes the directories that a run which was killed had not finished.
func (c *localCopy) clear() {
	left, _ := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*")) // Its only error is of the pattern.
	for _, one := range left {
		_ = os.RemoveAll(one)
	}
}

// view returns the state as this host has it, which stays there until release is called.
func (c *localCopy) view() (_ View, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, mark := c.known.Dir, c.known.mark()
	if c.known.Pending != nil {
		dir = c.known.Pending.Dir
	}
	if dir == "" {
		dir = "none" // Nothing is ever there.
	}
	c.pins[dir]++
	path := c.path(dir)
	return View{Baseline: baseline.At(path), Review: review.At(path), Mark: mark}, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pins[dir]--; c.pins[dir] == 0 {
			delete(c.pins, dir)
			if !c.needs(dir) { // Another one may just be made.
				_ = os.RemoveAll(filepath.Join(c.dir, dir))
			}
		}
	}
}

// mark names the baseline of this host.
func (r copyRecord) mark() string {
	switch {
	case r.Pending != nil:
		return r.Pending.Baseline
	case r.Generation != nil:
		return r.Generation.Baseline
	}
	return ""
}

// stage is a directory in which a generation is made. Discard it, or keep it under a name.
type stage struct {
	of   *localCopy
	name string
}

func (c *localCopy) stage() (*stage, error) {
	s := &stage{of: c, name: tempPrefix + rand.Text()}
	if err := os.MkdirAll(filepath.Dir(s.path()), 0o700); err != nil {
		return nil, fmt.Errorf("the local copy of the shared state cannot be written: %w; make room in %s, or make it writable", err, c.dir)
	}
	return s, nil
}

func (s *stage) path() string { return s.of.path(s.name) }

func (s *stage) view() View {
	return View{Baseline: baseline.At(s.path()), Review: review.At(s.path())}
}

func (s *stage) discard() { _ = os.RemoveAll(filepath.Dir(s.path())) }

// keep gives the stage its name. What was there of that name was never finished.
func (s *stage) keep(name string) error {
	to := filepath.Join(s.of.dir, name)
	err := os.RemoveAll(to)
	if err == nil {
		err = os.Rename(filepath.Dir(s.path()), to)
	}
	if err != nil {
		return fmt.Errorf("the local copy of the shared state cannot be written: %w", err)
	}
	s.name = name
	_ = files.Flush(s.of.dir)
	return nil
}

// link gives files of another state a name in the stage, or copies them where the file system
// has no links.
func (s *stage) link(from string, take func(suffix string) bool) error {
	entries, err := os.ReadDir(filepath.Dir(from))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		suffix, is := strings.CutPrefix(entry.Name(), filepath.Base(from))
		if !is || !suffixForm.MatchString(suffix) || !take(suffix) || !entry.Type().IsRegular() {
			continue
		}
		if err := linkFile(from+suffix, s.path()+suffix); err != nil {
			return fmt.Errorf("the local copy of the shared state cannot be written: %w", err)
		}
	}
	return nil
}

func linkFile(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	return writeFile(to, source)
}

// writeFile writes a new file, and to the disk.
func writeFile(to string, content io.Reader) error {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// files returns the files that the stage has. Those that are also in a directory of a
// generation are the same there.
func (s *stage) files(known *generation, dir string) ([]file, error) {
	entries, err := os.ReadDir(filepath.Dir(s.path()))
	if err != nil {
		return nil, err
	}
	var all []file
	for _, entry := range entries {
		suffix, is := strings.CutPrefix(entry.Name(), s.of.base)
		if !is || !suffixForm.MatchString(suffix) {
			continue
		}
		info, err := os.Stat(s.path() + suffix)
		if err != nil {
			return nil, err
		}
		if same := known.file(suffix); same != nil && dir != "" {
			if other, err := os.Stat(s.of.path(dir) + suffix); err == nil && os.SameFile(info, other) {
				all = append(all, *same)
				continue
			}
		}
		sum, err := files.Sum(s.path()+suffix, files.Whole)
		if err != nil {
			return nil, err
		}
		one := file{Suffix: suffix, Sum: sum, Bytes: info.Size()}
		if same := known.file(suffix); same != nil && same.Sum == sum {
			one = *same
		}
		all = append(all, one)
	}
	return all, nil
}
