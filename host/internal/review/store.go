package review

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// Store is where the refused sync of one upload and its approval are, beside its baseline.
// Its methods may be called concurrently, also those of several stores of one place.
type Store struct {
	path   string
	mu     *sync.Mutex
	create func(path string) (recordFile, error) // that of createRecord, but in tests
	now    func() time.Time
}

// locks are those of the places of this process, by path, for as long as a store has one.
var locks = struct {
	sync.Mutex
	of map[string]weak.Pointer[sync.Mutex]
}{of: map[string]weak.Pointer[sync.Mutex]{}}

// lockOf returns the lock of a place.
func lockOf(path string) *sync.Mutex {
	locks.Lock()
	defer locks.Unlock()
	if lock := locks.of[path].Value(); lock != nil {
		return lock
	}
	lock := &sync.Mutex{}
	locks.of[path] = weak.Make(lock)
	runtime.AddCleanup(lock, func(path string) {
		locks.Lock()
		defer locks.Unlock()
		if locks.of[path].Value() == nil {
			delete(locks.of, path)
		}
	}, path)
	return lock
}

// At returns the store of the upload whose baseline is at path.
func At(path string) *Store {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return &Store{path: path, mu: lockOf(path), create: createRecord, now: time.Now}
}

// What is in the place, behind the name of the baseline.
const (
	refusedRecord  = ".refused"
	refusedFile    = ".refused-" // and a part of its sum
	approvedRecord = ".approved"
)

// keptFor is how long a refused sync is kept: it has the names of people.
const keptFor = 7 * 24 * time.Hour

// Reason is why a plugin's part of a sync was refused.
type Reason struct {
	Plugin string `json:"plugin"`
	Text   string `json:"text"`
}

// Refused is a sync that was refused.
type Refused struct {
	Version int `json:"version"`
	// ID names what would be taken away of the plugins that were refused.
	ID     string    `json:"id"`
	Upload string    `json:"upload"`
	At     time.Time `json:"at"`
	// Reasons are why, for each plugin that was refused.
	Reasons []Reason `json:"reasons"`
	// Counts are the changes of all plugins.
	Counts []Count `json:"counts"`
	// Earlier are syncs that were refused before it, the last one first.
	Earlier []Earlier `json:"earlier,omitempty"`
}

// Earlier is what is remembered of a sync that was refused before.
type Earlier struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	TakenAway int       `json:"taken_away"`
}

// mostEarlier is how many earlier ones are remembered.
const mostEarlier = 20

// Until is how long it is kept.
func (r *Refused) Until() time.Time { return r.At.Add(keptFor) }

// TakenAway is how many changes of the refused plugins take something away.
func (r *Refused) TakenAway() int {
	n := 0
	for _, reason := range r.Reasons {
		n += Sum(r.Counts, reason.Plugin).TakenAway()
	}
	return n
}

// Of says whether a plugin was refused.
func (r *Refused) Of(plugin string) bool {
	return slices.ContainsFunc(r.Reasons, func(one Reason) bool { return one.Plugin == plugin })
}

// refusal is a refused sync with all that is on the disk of it.
type refusal struct {
	Refused
	// Types are the plugins of the resource types, Bases what their parts were compared
	// with.
	Types map[string]string `json:"resource_types"`
	Bases map[string]string `json:"bases"`
	// File is the sync file; nil if nothing was read.
	File *keptFile `json:"file,omitempty"`
	Keys []section `json:"keys"`
}

type keptFile struct {
	Name string `json:"name"`
	Sum  string `json:"sha256"`
}

// Keep keeps a refused sync in the place of the one that was kept before, with the reason of
// each plugin that was refused, and all that it would take away of them. The sync's own file
// stays where it is.
func (s *Store) Keep(ctx context.Context, of *Difference, reasons []Reason) (*Refused, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	var plugins []string
	for _, one := range reasons {
		plugins = append(plugins, one.Plugin)
	}
	of.only(plugins)
	made := &refusal{
		Refused: Refused{
			Version: recordVersion, ID: of.id(), Upload: of.sync.Upload, At: s.now().UTC(), Reasons: reasons, Counts: of.Counts(),
		},
		Types: maps.Clone(of.types), Bases: of.bases(), Keys: of.sections(),
	}
	maps.DeleteFunc(made.Types, func(_, plugin string) bool { return plugin == "" })
	before, err := s.readRefusal()
	if _, newer := errors.AsType[*files.NewerError](err); newer {
		return nil, err // It is not lost.
	}
	if err == nil {
		made.Earlier = earlier(&before.Refused, made.ID)
	}
	if of.sync.After != nil {
		if made.File, err = s.keepFile(of.sync.Path); err != nil {
			s.sweep()
			return nil, err
		}
	}
	err = writeRecord(s.path+refusedRecord, made, s.create, func(to io.Writer) error {
		for _, one := range made.Keys {
			if err := writeDigests(to, of.keys[one.Plugin]); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	s.sweep() // The file of the one before, or of this one if it is not kept.
	if err != nil {
		return nil, err
	}
	return &made.Refused, nil
}

// earlier are the refused syncs before one, the last one first.
func earlier(before *Refused, id string) []Earlier {
	all := append([]Earlier{{before.ID, before.At, before.TakenAway()}}, before.Earlier...)
	all = slices.DeleteFunc(all, func(one Earlier) bool { return one.ID == id })
	return all[:min(len(all), mostEarlier)]
}

// keepFile gives a sync file a second name in the place, under which nothing knows it until
// the record does; where the file system has no links, a copy.
func (s *Store) keepFile(path string) (*keptFile, error) {
	sum, err := files.Sum(path, files.Whole)
	if err != nil {
		return nil, err
	}
	kept := &keptFile{Name: filepath.Base(s.path) + refusedFile + sum[:16], Sum: sum}
	to := filepath.Join(filepath.Dir(s.path), kept.Name)
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if os.Link(path, to) == nil {
		return kept, os.Chmod(to, 0o600)
	}
	return kept, s.copyFile(path, to)
}

func (s *Store) copyFile(path, to string) (err error) {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	into, err := s.create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(into, from); err == nil {
		err = into.Sync()
	}
	return errors.Join(err, into.Close())
}

// Sweep removes what a run that was killed left in the place, and what has been kept for
// long enough. One process at a time may call it.
func (s *Store) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
}

// sweep is called with the lock held.
func (s *Store) sweep() {
	kept, err := s.readRefusal()
	if err != nil && !errors.Is(err, os.ErrNotExist) && !s.removeDamaged(err) {
		return // What it names is not known.
	}
	dir, base := filepath.Split(s.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		stale := name == base+refusedRecord+unfinished || name == base+approvedRecord+unfinished
		if sum, ok := strings.CutPrefix(name, base+refusedFile); ok && len(sum) == 16 {
			stale = kept == nil || kept.File == nil || kept.File.Name != name
		}
		if stale && entry.Type().IsRegular() {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// removeDamaged removes a record that is damaged, once it has been there for long enough.
func (s *Store) removeDamaged(err error) bool {
	if _, is := errors.AsType[*damagedError](err); !is {
		return false
	}
	info, err := os.Stat(s.path + refusedRecord)
	return err == nil && s.now().Sub(info.ModTime()) > keptFor && os.Remove(s.path+refusedRecord) == nil
}

// Refused returns the refused sync that is kept; [os.ErrNotExist] if there is none. One that
// was kept for long enough is removed.
func (s *Store) Refused() (*Refused, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.readRefusal()
	if err != nil {
		return nil, err
	}
	return &kept.Refused, nil
}

// readRefusal is called with the lock held.
func (s *Store) readRefusal() (*refusal, error) {
	kept := &refusal{}
	r, err := openRecord(s.path+refusedRecord, kept)
	if err != nil {
		return nil, noneKept(err)
	}
	r.close()
	if age := s.now().Sub(kept.At); age > keptFor || age < -keptFor { // A date in the future is not young.
		s.remove(kept)
		return nil, noneKept(os.ErrNotExist)
	}
	return kept, nil
}

func (s *Store) remove(kept *refusal) {
	_ = os.Remove(s.path + refusedRecord)
	if kept.File != nil {
		_ = os.Remove(filepath.Join(filepath.Dir(s.path), filepath.Base(kept.File.Name)))
	}
}

type noneError struct{ what string }

func (e *noneError) Error() string        { return e.what }
func (e *noneError) Is(target error) bool { return target == os.ErrNotExist }

func noneKept(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return &noneError{"no refused sync waits for an approval"}
	}
	return err
}

// outdated says that the baseline has moved on under a refused sync: what that would take
// away is not known any more.
func (k *refusal) outdated(known baseline.Sync, sum string) bool {
	for plugin, basis := range k.Bases {
		if basisOf(known, sum, plugin) != basis {
			return true
		}
	}
	return false
}

func outdatedError(kept *refusal) error {
	return &noneError{fmt.Sprintf("no refused sync waits for an approval: %s was refused at %s, and a later sync has been accepted", kept.ID, kept.At.Format(time.RFC3339))}
}

// Review is a refused sync, open for a look at its changes. Close it.
type Review struct {
	Refused
	before *baseline.Baseline
	after  *syncfile.File
	types  map[string]string
}

// Open opens the refused sync, unpacked below tmpDir; [os.ErrNotExist] if there is none.
func (s *Store) Open(ctx context.Context, tmpDir string) (*Review, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.readRefusal()
	if err != nil {
		return nil, err
	}
	before, err := baseline.At(s.path).Open(ctx, tmpDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, outdatedError(kept)
	}
	if err != nil {
		return nil, fmt.Errorf("the baseline that the refused sync is compared with cannot be read: %w", err)
	}
	opened := &Review{Refused: kept.Refused, before: before, types: kept.Types}
	if kept.outdated(before.Sync, before.Sum) {
		err = outdatedError(kept)
	} else {
		opened.after, err = s.openFile(ctx, kept, tmpDir)
	}
	if err != nil {
		return nil, errors.Join(err, before.Close(context.WithoutCancel(ctx)))
	}
	return opened, nil
}

// openFile opens the file of a refused sync, which must be the one that was kept.
func (s *Store) openFile(ctx context.Context, kept *refusal, tmpDir string) (*syncfile.File, error) {
	if kept.File == nil {
		return nil, nil
	}
	path := filepath.Join(filepath.Dir(s.path), filepath.Base(kept.File.Name))
	sum, err := files.Sum(path, files.Whole)
	if err == nil && sum != kept.File.Sum {
		err = errors.New("its content is not what was kept")
	}
	if err != nil {
		return nil, &damagedError{path, err.Error()}
	}
	return syncfile.Open(ctx, path, tmpDir)
}

// Each calls each with every change, of all plugins, in a stable order. It stops at the first
// error.
func (r *Review) Each(ctx context.Context, each func(Change) error) error {
	_, err := Between(ctx, r.before.File, r.after, func(typeID string) string { return r.types[typeID] }, each)
	return err
}

// Close closes the files.
func (r *Review) Close(ctx context.Context) error {
	err := r.before.Close(ctx)
	if r.after == nil {
		return err
	}
	return errors.Join(err, r.after.Close(ctx))
}
