package state

import (
	"context"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/state/objects"
)

const (
	// mostRead is for how long a generation is kept that is not the newest any more: a host may
	// be reading it.
	mostRead = time.Hour
	// leastKept is how many generations are kept at least.
	leastKept = 3
	// orphanAfter is how long an object is kept that no generation names: a host may be about
	// to write one.
	orphanAfter = 24 * time.Hour
)

// sweep removes what no host needs any more. All times are those of the store: it is now when
// the newest generation was written there, just before. That something stays is logged alone.
func (s *Shared) sweep(ctx context.Context, newest *generation) {
	if err := s.trySweep(ctx, newest); err != nil && ctx.Err() == nil {
		ctxzap.Extract(ctx).Warn("what no host needs any more cannot be removed from the shared state; the next sync tries again", zap.Error(err))
	}
}

func (s *Shared) trySweep(ctx context.Context, newest *generation) error {
	listed, err := list(ctx, s.store, generationsOf(s.upload), "")
	if err != nil {
		return err
	}
	var all []objects.Object
	for _, one := range listed {
		if _, is := numberOf(s.upload, one.Name); is {
			all = append(all, one)
		}
	}
	if len(all) == 0 || all[len(all)-1].Name != generationName(s.upload, newest.Number) {
		return nil // Another host was here since, and sweeps.
	}
	now := all[len(all)-1].Modified
	old := 0
	for old < len(all)-leastKept && now.Sub(all[old+1].Modified) > mostRead {
		old++
	}
	needed, err := s.objectsOf(ctx, all[old:])
	if err != nil {
		return err
	}
	for _, one := range all[:old] { // The oldest first, so that there is never a gap.
		names, err := s.objectsOf(ctx, []objects.Object{one})
		if err != nil {
			names = nil // It can be damaged. Its objects go when they are old.
		}
		for name := range names {
			if needed[name] {
				continue
			}
			if err := remove(ctx, s.store, objectsOf(s.upload)+name); err != nil {
				return err
			}
		}
		if err := remove(ctx, s.store, one.Name); err != nil {
			return err
		}
	}
	found, err := list(ctx, s.store, objectsOf(s.upload), "")
	if err != nil {
		return err
	}
	for _, one := range found {
		if needed[one.Name[len(objectsOf(s.upload)):]] || now.Sub(one.Modified) <= orphanAfter {
			continue
		}
		if err := remove(ctx, s.store, one.Name); err != nil {
			return err
		}
	}
	return nil
}

// objectsOf returns the objects that generations name.
func (s *Shared) objectsOf(ctx context.Context, generations []objects.Object) (map[string]bool, error) {
	needed := map[string]bool{}
	for _, one := range generations {
		number, _ := numberOf(s.upload, one.Name)
		g, err := s.generation(ctx, number)
		if err != nil {
			return nil, err
		}
		for _, file := range g.Files {
			needed[file.Object] = true
		}
	}
	return needed, nil
}
