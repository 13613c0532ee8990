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
