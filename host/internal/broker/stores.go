package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	sdk "github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Stores knows which sync keeps its notes where. Its methods may be called
// concurrently, and its zero value is ready.
type Stores struct {
	mu    sync.Mutex
	parts map[part]*Sync
}

// part is what one plugin does in one sync.
type part struct{ instance, syncID string }

// Begin makes a sync that is not known to any plugin yet.
func (s *Stores) Begin() *Sync { return &Sync{stores: s} }

// Plugin is the service for the processes of one plugin: the SDK's own, over the
// stores of the syncs that the plugin takes part in. It may be served in several
// places at once, and for as long as the host lives.
func (s *Stores) Plugin(instance string) v1.BatonSessionServiceServer {
	server := sdk.NewGRPCSessionServer()
	server.SetSessionStore(context.Background(), pluginStore{stores: s, instance: instance})
	return server
}

func (s *Stores) find(p part) *Sync {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[p]
}

// join has calls for a part of a sync go there.
func (s *Stores) join(p part, sync *Sync) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = map[part]*Sync{}
	}
	s.parts[p] = sync
}

func (s *Stores) leave(parts map[part]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range parts {
		delete(s.parts, p)
	}
}

// unknownError is a call for a sync that does not run, or not with the plugin. Its
// beginning is what the SDK says where it has no store.
type unknownError struct{ part }

func (e *unknownError) Error() string {
	return fmt.Sprintf("session store is not set: plugin %q takes part in no running sync %q", e.instance, e.syncID)
}

// GRPCStatus is FAILED_PRECONDITION: another attempt would end in the same way.
func (e *unknownError) GRPCStatus() *status.Status {
	return status.New(codes.FailedPrecondition, e.Error())
}

// pluginStore is the store of whatever sync a call is for, as one plugin may see
// it.
type pluginStore struct {
	stores   *Stores
	instance string
}

var _ sessions.SessionStore = pluginStore{}

// in calls use with the store of the sync that the options name and with the
// options for it. Each key there begins with the plugin's name and a slash, which
// no name has in it.
func (p pluginStore) in(ctx context.Context, given []sessions.SessionStoreOption, use func(sessions.SessionStore, []sessions.SessionStoreOption) error) error {
	bag := &sessions.SessionStoreBag{}
	for _, option := range given {
		if err := option(ctx, bag); err != nil {
			return err
		}
	}
	unknown := &unknownError{part{p.instance, bag.SyncID}}
	sync := p.stores.find(unknown.part)
	if sync == nil {
		return unknown
	}
	options := []sessions.SessionStoreOption{
		sessions.WithSyncID(bag.SyncID),
		sessions.WithPrefix(p.instance + "/" + bag.Prefix),
	}
	known, err := sync.with(func(store sessions.SessionStore) error { return use(store, options) })
	if !known {
		return unknown
	}
	return err
}

func (p pluginStore) Get(ctx context.Context, key string, given ...sessions.SessionStoreOption) (value []byte, found bool, err error) {
	err = p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		value, found, err = store.Get(ctx, key, options...)
		return err
	})
	return value, found, err
}

func (p pluginStore) GetMany(ctx context.Context, keys []string, given ...sessions.SessionStoreOption) (values map[string][]byte, unprocessed []string, err error) {
	err = p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		values, unprocessed, err = store.GetMany(ctx, keys, options...)
		return err
	})
	return values, unprocessed, err
}

func (p pluginStore) GetAll(ctx context.Context, pageToken string, given ...sessions.SessionStoreOption) (values map[string][]byte, next string, err error) {
	err = p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		values, next, err = store.GetAll(ctx, pageToken, options...)
		return err
	})
	return values, next, err
}

func (p pluginStore) Set(ctx context.Context, key string, value []byte, given ...sessions.SessionStoreOption) error {
	return p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		return store.Set(ctx, key, value, options...)
	})
}

func (p pluginStore) SetMany(ctx context.Context, values map[string][]byte, given ...sessions.SessionStoreOption) error {
	return p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		return store.SetMany(ctx, values, options...)
	})
}

func (p pluginStore) Delete(ctx context.Context, key string, given ...sessions.SessionStoreOption) error {
	return p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		return store.Delete(ctx, key, options...)
	})
}

// Clear of a sync that is over has nothing to do, as in the SDK: a connector may
// clean up late.
func (p pluginStore) Clear(ctx context.Context, given ...sessions.SessionStoreOption) error {
	err := p.in(ctx, given, func(store sessions.SessionStore, options []sessions.SessionStoreOption) error {
		return store.Clear(ctx, options...)
	})
	if _, unknown := errors.AsType[*unknownError](err); unknown {
		return nil
	}
	return err
}

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
