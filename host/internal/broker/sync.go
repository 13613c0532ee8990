package broker

import (
	"context"
	"errors"
	"sync"

	"github.com/conductorone/baton-sdk/pkg/types/sessions"
)

// Sync is the session store of one sync. Plugins reach it from when the SDK's
// syncer has set its store and they have joined until the sync ends.
type Sync struct {
	stores *Stores

	// mu is held for reading while a plugin's call is in the store, so that the
	// store is not closed under it: the SDK's engine would panic.
	mu    sync.RWMutex
	store sessions.SessionStore // nil: not yet, or not any more
	parts map[part]bool         // that plugins have joined
	watch func() bool           // stops watching the sync's context
}

var _ sessions.SetSessionStore = (*Sync)(nil)

// SetSessionStore takes the store of the sync's file, or with nil gives it back: no
// call is in it any more when SetSessionStore returns. It is given back by itself
// when the context ends.
func (s *Sync) SetSessionStore(ctx context.Context, store sessions.SessionStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
	s.store = store
	if store != nil {
		s.watch = context.AfterFunc(ctx, func() { s.SetSessionStore(context.WithoutCancel(ctx), nil) })
	}
}

// close has no further call come to the store. Call it with mu held.
func (s *Sync) close() {
	if s.watch != nil {
		s.watch()
		s.watch = nil
	}
	s.stores.leave(s.parts)
	s.store, s.parts = nil, nil
}

// Join lets a plugin use the store of this sync, under the id that the sync has for
// it. Before the store is set and after the end it does nothing.
func (s *Sync) Join(instance, syncID string) {
	p := part{instance, syncID}
	s.mu.RLock()
	known := s.store == nil || s.parts[p]
	s.mu.RUnlock()
	if known {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return
	}
	if s.parts == nil {
		s.parts = map[part]bool{}
	}
	s.parts[p] = true
	s.stores.join(p, s)
}

// End clears what plugins have left, as it must not be in a file that is published,
// and lets none use the store any more.
func (s *Sync) End(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cleared := map[string]bool{}
	var failed []error
	for p := range s.parts {
		if !cleared[p.syncID] {
			cleared[p.syncID] = true
			failed = append(failed, clearLeft(ctx, s.store, p.syncID))
		}
	}
	s.close()
	return errors.Join(failed...)
}

// clearLeft leaves a store alone in which nothing is left: to clear it is to write
// to it.
func clearLeft(ctx context.Context, store sessions.SessionStore, syncID string) error {
	left, _, err := store.GetAll(ctx, "", sessions.WithSyncID(syncID))
	if err != nil || len(left) == 0 {
		return err
	}
	return store.Clear(ctx, sessions.WithSyncID(syncID))
}

// with calls use with the store, unless there is none.
func (s *Sync) with(use func(sessions.SessionStore) error) (known bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.store == nil {
		return false, nil
	}
	return true, use(s.store)
}
