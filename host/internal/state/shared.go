package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/state/objects"
)

const (
	// mostAttempts is how often a change is made while other hosts are always first.
	mostAttempts = 20
	// mostSkew is by how much clocks may differ before that is worth a warning.
	mostSkew = time.Minute
)

// Shared is the place of an upload in a store that hosts share.
type Shared struct {
	store  objects.Store
	host   string
	upload string
	copy   *localCopy
	seed   string // the sync file of a host that shared nothing before

	mu            sync.Mutex // held while the state is read from the store or changed there
	storeID       string     // "" until the store has been checked
	maxStale      time.Duration
	configuration map[string]string
	noted         map[string]string // what was warned of last, by kind
}

func newShared(store objects.Store, host, upload, dir string) *Shared {
	s := &Shared{
		store: store, host: host, upload: upload, seed: filepath.Join(dir, upload+".c1z"),
		copy: openCopy(filepath.Join(dir, upload+".shared"), upload+".c1z", store.String()), noted: map[string]string{},
	}
	s.copy.clear()
	return s
}

// configure has the place go by a configuration of its upload.
func (s *Shared) configure(upload *config.Upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxStale, s.configuration = upload.MaxStale, upload.Fingerprint()
}

// Read calls read with the newest state; while the store cannot be used, with the copy of this
// host, unless that is too old.
func (s *Shared) Read(ctx context.Context, read func(View) error) error {
	view, release, err := s.newest(ctx)
	if err != nil {
		return err
	}
	defer release()
	return read(view)
}

func (s *Shared) newest(ctx context.Context) (View, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	away := s.refresh(ctx)
	if away != nil {
		if err := s.goOnWithout(ctx, away); err != nil {
			return View{}, nil, err
		}
	}
	view, release := s.copy.view()
	view.Away = away
	return view, release, nil
}

// goOnWithout returns nil if the copy of this host may be used while the store cannot be.
func (s *Shared) goOnWithout(ctx context.Context, away error) error {
	known := s.copy.now()
	switch age := time.Since(known.ConfirmedAt); {
	case ctx.Err() != nil:
		return ctx.Err()
	case files.IsNewer(away):
		return away
	case known.Generation == nil && known.Pending == nil:
		return fmt.Errorf("%w; this host has no copy of the state of upload %q to go on with", away, s.upload)
	case age > s.maxStale || age < -mostSkew:
		return fmt.Errorf("%w; the copy that this host has of the state of upload %q was the newest at %s, which is longer ago than max-stale (%s) allows", away, s.upload, known.ConfirmedAt.UTC().Format(time.RFC3339), s.maxStale)
	}
	ctxzap.Extract(ctx).Warn("the shared state cannot be used, so the copy of it that this host has is used, and no approval counts",
		zap.Error(away), zap.Time("copy_of", known.ConfirmedAt), zap.Duration("max_stale", s.maxStale))
	return nil
}

// refresh has the copy be that of the newest generation, and brings a baseline into the store
// that could not be brought before. It is called with the lock held.
func (s *Shared) refresh(ctx context.Context) error {
	if s.copy.now().Pending != nil {
		_, notUsed, _, err := s.settle(ctx)
		if notUsed != nil {
			ctxzap.Extract(ctx).Warn("what was approved for a sync that is accepted cannot be removed from the shared state, so it may be approved once more until it expires", zap.Error(notUsed))
		}
		if _, replaced := errors.AsType[*ReplacedError](err); replaced {
			ctxzap.Extract(ctx).Warn("the baseline that was on its way into the shared state is dropped", zap.Error(err))
		} else if err != nil {
			return err
		}
	}
	head, err := s.head(ctx)
	if err == nil && head == nil {
		head, err = s.begin(ctx)
	}
	if err != nil {
		return err
	}
	return s.adopt(ctx, head)
}

// head returns the newest generation, or nil where there is none.
func (s *Shared) head(ctx context.Context) (*generation, error) {
	if err := s.checkStore(ctx); err != nil {
		return nil, err
	}
	known := s.copy.now().Generation
	for range mostAttempts {
		after := ""
		if known != nil {
			after = generationName(s.upload, known.Number-1)
		}
		listed, err := list(ctx, s.store, generationsOf(s.upload), after)
		if err != nil {
			return nil, err
		}
		number := int64(0)
		for _, one := range listed {
			if n, is := numberOf(s.upload, one.Name); is {
				number = n
			}
		}
		if number == 0 {
			return nil, nil
		}
		head, err := s.generation(ctx, number)
		if !errors.Is(err, fs.ErrNotExist) {
			return head, err
		} // It was removed as it is not the newest any more.
	}
	return nil, s.busy()
}

func (s *Shared) busy() error {
	return fmt.Errorf("the state of upload %q in %s is changed by other hosts all the time: try again", s.upload, s.store)
}

// generation returns the generation of a number; [fs.ErrNotExist] where there is none.
func (s *Shared) generation(ctx context.Context, number int64) (*generation, error) {
	name := generationName(s.upload, number)
	data, err := get(ctx, s.store, name)
	if err != nil {
		return nil, err
	}
	return decode(s.store.Path(name), data, number)
}

// checkStore returns why the store cannot be used. It is called once until it succeeds.
func (s *Shared) checkStore(ctx context.Context) error {
	if s.storeID != "" {
		return nil
	}
	known := s.copy.now()
	if known.Store != "" { // The store may not be there, and must not be begun once more.
		if _, err := get(ctx, s.store, markerName); errors.Is(err, fs.ErrNotExist) {
			return &objects.Error{Text: fmt.Sprintf("%s is not there any more, so this is not the state that this host knows: mount or name the right one; to begin without a memory, remove %s on each host",
				s.store.Path(markerName), s.copy.dir), IsFinal: true, Cause: err}
		}
	}
	id, err := openStore(ctx, s.store)
	if err != nil {
		return err
	}
	if known.Store != "" && known.Store != id {
		ctxzap.Extract(ctx).Warn("the shared state is another one than before, so the copy that this host has is dropped", zap.Stringer("state", s.store))
		if err := s.copy.write(copyRecord{Location: known.Location}); err != nil {
			return err
		}
	}
	s.storeID = id
	return nil
}

// begin writes the first generation: from what this host has kept alone until now, or from its
// copy where the store has lost it. It returns nil where there is nothing.
func (s *Shared) begin(ctx context.Context) (*generation, error) {
	known := s.copy.now()
	from := s.seed
	if known.Generation != nil {
		from = s.copy.path(known.Dir)
		ctxzap.Extract(ctx).Warn("the shared state has lost what this host knows of the upload, so it is written there once more; look whether something removes old objects there",
			zap.Stringer("state", s.store), zap.Int64("generation", known.Generation.Number))
	}
	staged, err := s.copy.stage()
	if err != nil {
		return nil, err
	}
	defer staged.discard()
	if err := staged.link(from, func(string) bool { return true }); err != nil {
		return nil, err
	}
	content, err := staged.files(nil, "")
	if err != nil || len(content) == 0 {
		return nil, err
	}
	first := generation{Files: content, Baseline: rand.Text(), BaselineBy: s.host, Configuration: s.configuration}
	if known.Generation != nil {
		first.Number, first.Parent = known.Generation.Number, known.Generation.ID
		first.Baseline, first.BaselineBy, first.Configuration = known.Generation.Baseline, known.Generation.BaselineBy, known.Generation.Configuration
	}
	if _, err := s.commit(ctx, staged, first); err != nil {
		return nil, err
	}
	return s.head(ctx) // Another host may have been first.
}

// adopt has the copy be that of a generation; nil is the state without anything.
func (s *Shared) adopt(ctx context.Context, head *generation) error {
	known := s.copy.now()
	next := copyRecord{Location: known.Location, Store: s.storeID, ConfirmedAt: time.Now(), Pending: known.Pending}
	switch {
	case head == nil:
	case known.Generation != nil && known.Generation.ID == head.ID:
		next.Generation, next.Dir = known.Generation, known.Dir
	default:
		staged, err := s.copy.stage()
		if err != nil {
			return err
		}
		defer staged.discard()
		if err := s.fill(ctx, staged, head, func(string) bool { return true }); err != nil {
			return err
		}
		if err := staged.keep(dirOf(head)); err != nil {
			return err
		}
		next.Generation, next.Dir = head, staged.name
		staged.name = tempPrefix // It is no stage any more.
	}
	s.compare(ctx, head)
	return s.copy.write(next)
}

func dirOf(of *generation) string { return fmt.Sprintf("%d-%s", of.Number, of.ID) }

// fill puts files of a generation into a stage: those that the copy has, and the others from
// the store.
func (s *Shared) fill(ctx context.Context, into *stage, of *generation, take func(suffix string) bool) error {
	known := s.copy.now()
	for _, one := range of.Files {
		if !take(one.Suffix) {
			continue
		}
		to := into.path() + one.Suffix
		if same := known.Generation.file(one.Suffix); same != nil && same.Sum == one.Sum {
			if err := linkFile(s.copy.path(known.Dir)+one.Suffix, to); err == nil {
				continue
			}
			_ = os.Remove(to) // It may be a part.
		}
		if err := download(ctx, s.store, objectsOf(s.upload)+one.Object, one, to); err != nil {
			return err
		}
	}
	return nil
}

// compare warns of a baseline that a host has made whose configuration of the upload is another,
// or whose clock is.
func (s *Shared) compare(ctx context.Context, head *generation) {
	if head == nil {
		return
	}
	log := ctxzap.Extract(ctx)
	if ahead := time.Until(head.WrittenAt); ahead > mostSkew && head.Host != s.host {
		if s.isNews("clock", head.ID) {
			log.Warn("what another host wrote into the shared state is of the future: the clocks of the hosts differ; set them, by NTP for example",
				zap.String("host", head.Host), zap.Duration("ahead", ahead.Round(time.Second)))
		}
	}
	if head.BaselineBy == s.host || head.Configuration == nil || s.configuration == nil {
		return
	}
	var differ []string
	for key, mine := range s.configuration { // What only one has is of a list that differs too.
		if theirs, known := head.Configuration[key]; known && theirs != mine {
			differ = append(differ, key)
		}
	}
	slices.Sort(differ)
	if len(differ) > 0 && s.isNews("configuration", head.BaselineBy+" "+strings.Join(differ, " ")) {
		log.Warn("the host that made the baseline has another configuration of this upload than this host; give all hosts of an upload the same",
			zap.String("host", head.BaselineBy), zap.Strings("differ", differ))
	}
}

// isNews reports whether something has not just been warned of.
func (s *Shared) isNews(kind, what string) bool {
	if s.noted[kind] == what {
		return false
	}
	s.noted[kind] = what
	return true
}

// Change has change change the state, and writes it as the next generation.
func (s *Shared) Change(ctx context.Context, change func(View) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range mostAttempts {
		if err := s.refresh(ctx); err != nil {
			return err
		}
		done, err := s.tryChange(ctx, change)
		if done || err != nil {
			return err
		}
	}
	return s.busy()
}

// tryChange reports false where another host was first.
func (s *Shared) tryChange(ctx context.Context, change func(View) error) (done bool, err error) {
	known := s.copy.now()
	staged, err := s.copy.stage()
	if err != nil {
		return false, err
	}
	defer staged.discard()
	if known.Generation != nil {
		if err := staged.link(s.copy.path(known.Dir), func(string) bool { return true }); err != nil {
			return false, err
		}
	}
	view := staged.view()
	view.Mark = known.mark()
	if err := change(view); err != nil {
		return false, err
	}
	return s.write(ctx, staged, known, "")
}

// write writes a stage as the generation after the one that is known, with a new baseline if
// that has a name. It reports false where another host was first.
func (s *Shared) write(ctx context.Context, staged *stage, known copyRecord, baseline string) (done bool, err error) {
	_, _ = staged.view().Review.Refused() // It removes what has been kept for long enough.
	content, err := staged.files(known.Generation, known.Dir)
	if err != nil {
		return false, err
	}
	next := generation{}
	if known.Generation != nil {
		next = *known.Generation
		if baseline == "" && slices.Equal(known.Generation.Files, content) {
			return true, nil
		}
	} else if len(content) == 0 {
		return true, nil
	}
	next.Parent, next.Files = next.ID, content
	if baseline != "" {
		next.Baseline, next.BaselineBy, next.Configuration = baseline, s.host, s.configuration
	}
	written, err := s.commit(ctx, staged, next)
	if err != nil || written == nil {
		return false, err
	}
	if err := staged.keep(dirOf(written)); err != nil {
		return false, err
	}
	now := copyRecord{Location: known.Location, Store: s.storeID, ConfirmedAt: time.Now(), Generation: written, Dir: staged.name}
	staged.name = tempPrefix // It is no stage any more.
	// It is in the store, whatever becomes of the copy.
	if err := s.copy.write(now); err != nil {
		ctxzap.Extract(ctx).Warn("the copy of the shared state cannot be kept on this host", zap.Error(err))
	}
	return true, nil
}

// commit brings the files of a stage into the store and writes them as the generation after
// that of next. It returns nil where another host was first. After an error nothing is known.
func (s *Shared) commit(ctx context.Context, staged *stage, next generation) (*generation, error) {
	next.Files = slices.Clone(next.Files)
	for i := range next.Files {
		one := &next.Files[i]
		if one.Object != "" {
			continue
		}
		one.Object = one.Sum + "-" + rand.Text()
		if err := upload(ctx, s.store, staged.path()+one.Suffix, objectsOf(s.upload)+one.Object, *one); err != nil {
			return nil, err
		}
	}
	next.Number++
	next.ID, next.Host, next.WrittenAt = rand.Text(), s.host, time.Now().UTC()
	data, err := next.encode()
	if err != nil {
		return nil, err
	}
	name := generationName(s.upload, next.Number)
	if err := create(ctx, s.store, name, data); err != nil {
		// An answer may be lost, and what was repeated then finds what it has written itself.
		there, lookErr := s.generation(ctx, next.Number)
		switch {
		case lookErr == nil && there.ID == next.ID:
		case errors.Is(err, fs.ErrExist):
			return nil, nil
		default:
			return nil, err
		}
	}
	return s.won(ctx, &next)
}

// won returns a generation that has been written if it counts: one whose number had been used
// and removed long ago does not. The reasons of other hosts to write the next one are the same.
func (s *Shared) won(ctx context.Context, written *generation) (*generation, error) {
	listed, err := list(ctx, s.store, generationsOf(s.upload), generationName(s.upload, written.Number-1))
	if err != nil {
		return nil, err
	}
	for _, one := range listed {
		number, is := numberOf(s.upload, one.Name)
		switch {
		case !is:
		case number == written.Number:
			s.compareClock(ctx, one.Modified)
		case number > written.Number+1:
			return nil, nil
		default:
			next, err := s.generation(ctx, number)
			if err != nil || next.Parent != written.ID {
				return nil, err
			}
			return written, nil
		}
	}
	return written, nil
}

// compareClock warns of a clock that is not that of the store, by when that has just been
// written to.
func (s *Shared) compareClock(ctx context.Context, modified time.Time) {
	skew := time.Since(modified)
	if skew.Abs() <= mostSkew {
		s.noted["own clock"] = ""
		return
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	if s.isNews("own clock", direction) {
		ctxzap.Extract(ctx).Warn("the clock of this machine differs from that of the shared state; set it, by NTP for example",
			zap.Stringer("state", s.store), zap.String("it_is", fmt.Sprintf("%s %s", skew.Abs().Round(time.Second), direction)))
	}
}

// Confirm returns a [ReplacedError] if the baseline is not the one of that mark any more. While
// the store cannot be used that is not known, and no error.
func (s *Shared) Confirm(ctx context.Context, mark string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if away := s.refresh(ctx); away != nil {
		if err := s.goOnWithout(ctx, away); err != nil {
			return err
		}
	}
	if known := s.copy.now(); known.mark() != mark {
		return s.replaced(known.Generation)
	}
	return nil
}

func (s *Shared) replaced(by *generation) error {
	failed := &ReplacedError{Upload: s.upload}
	if by != nil {
		failed.Host, failed.Generation = by.BaselineBy, by.Number
	}
	return failed
}

// Advance makes an accepted sync the baseline, in the store and where that cannot be used for
// now on this host alone until it can.
func (s *Shared) Advance(ctx context.Context, accepted Accepted) (used []review.Approved, notUsed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.pend(accepted); err != nil {
		return nil, nil, err
	}
	used, notUsed, generation, err := s.settle(ctx)
	if err != nil {
		if _, replaced := errors.AsType[*ReplacedError](err); !replaced {
			err = fmt.Errorf("it is kept on this host alone, and goes into the shared state when that can be used again: %w", err)
		}
		return nil, nil, err
	}
	s.sweep(ctx, generation)
	return used, notUsed, nil
}

// pend keeps an accepted sync on this host, as the baseline until another host has one.
func (s *Shared) pend(accepted Accepted) error {
	known := s.copy.now()
	next := &pending{Baseline: rand.Text(), Since: accepted.Mark, Fresh: accepted.Fresh}
	from := known.Dir
	if before := known.Pending; before != nil {
		if before.Baseline != accepted.Mark { // Of another sync of this host, at the same time.
			return s.replaced(&generation{BaselineBy: s.host})
		}
		from, next.Since = before.Dir, before.Since
		next.Fresh = slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.Fresh, accepted.Fresh))))
	}
	staged, err := s.copy.stage()
	if err != nil {
		return err
	}
	defer staged.discard()
	if from != "" {
		if err := staged.link(s.copy.path(from), isReview); err != nil {
			return err
		}
	}
	if err := staged.view().Baseline.Replace(accepted.Draft, accepted.Sync); err != nil {
		return err
	}
	if err := staged.keep("pending-" + next.Baseline); err != nil {
		return err
	}
	next.Dir, staged.name = staged.name, tempPrefix
	known.Pending = next
	return s.copy.write(known)
}

// isReview reports whether a file is not of the baseline.
func isReview(suffix string) bool { return suffix != "" && suffix != ".json" }

// settle brings the pending baseline into the store, and uses up what was approved of it.
func (s *Shared) settle(ctx context.Context) (used []review.Approved, notUsed error, written *generation, err error) {
	for range mostAttempts {
		head, err := s.head(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		known := s.copy.now()
		of := *known.Pending
		switch {
		case head == nil && known.Generation != nil:
			if _, err = s.begin(ctx); err != nil {
				return nil, nil, nil, err
			}
			continue
		case head != nil && head.Baseline == of.Baseline: // The answer was lost, or this host was killed.
			known.Pending = nil
			return nil, nil, head, errors.Join(s.copy.write(known), s.adopt(ctx, head))
		case head != nil && head.Baseline != of.Since || head == nil && of.Since != "":
			known.Pending = nil
			return nil, nil, nil, errors.Join(s.copy.write(known), s.replaced(head))
		}
		used, notUsed, done, err := s.trySettle(ctx, head, of)
		if err != nil {
			return nil, nil, nil, err
		}
		if done {
			return used, notUsed, s.copy.now().Generation, nil
		}
	}
	return nil, nil, nil, s.busy()
}

func (s *Shared) trySettle(ctx context.Context, head *generation, of pending) (used []review.Approved, notUsed error, done bool, err error) {
	staged, err := s.copy.stage()
	if err != nil {
		return nil, nil, false, err
	}
	defer staged.discard()
	if head != nil {
		if err := s.fill(ctx, staged, head, isReview); err != nil {
			return nil, nil, false, err
		}
	}
	if err := staged.link(s.copy.path(of.Dir), func(suffix string) bool { return !isReview(suffix) }); err != nil {
		return nil, nil, false, err
	}
	used, notUsed = staged.view().Review.Used(ctx, of.Fresh)
	known := s.copy.now()
	if head != nil && (known.Generation == nil || known.Generation.ID != head.ID) {
		known.Generation, known.Dir = head, ""
	}
	done, err = s.write(ctx, staged, known, of.Baseline)
	return used, notUsed, done, err
}
