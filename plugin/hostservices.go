package plugin

import (
	"context"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/crypto"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"
	"google.golang.org/grpc"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// dialer reaches what the host serves under a go-plugin broker id.
type dialer func(id uint32) (*grpc.ClientConn, error)

// hostServices is what a host gives a connector beside its configuration.
type hostServices struct {
	sessions *grpc.ClientConn // nil: no session store
	key      *jose.JSONWebKey // nil: no passwords
}

// accept takes what the host offers. It returns a finding where the connector needs
// more.
func (a *author[T]) accept(ctx context.Context, host *pluginv1.Host, dial dialer) (*hostServices, *pluginv1.Diagnostic) {
	from := &hostServices{}
	if text := host.GetPasswordKey(); text != "" {
		from.key = &jose.JSONWebKey{}
		// The error might quote the key.
		if err := from.key.UnmarshalJSON([]byte(text)); err != nil || from.key.IsPublic() || from.key.KeyID == "" {
			return nil, finding("", "the host gave a key for passwords that is no private JSON Web Key with a key id", "")
		}
	}
	needed, err := connectorrunner.IsSessionStoreEnabled(ctx, a.options...)
	switch {
	case err != nil:
		return nil, finding("", "the connector's own options are wrong", err.Error())
	case !needed:
		return from, nil
	case host.GetSessionStoreBrokerId() == 0:
		return nil, finding("", "the connector needs a session store, and the host offers none", "")
	}
	// At once: go-plugin forgets an id that is not dialled.
	from.sessions, err = dial(host.GetSessionStoreBrokerId())
	if err != nil {
		return nil, finding("", "the session store that the host offers cannot be reached", err.Error())
	}
	return from, nil
}

func (o *hostServices) close() {
	if o.sessions != nil {
		_ = o.sessions.Close()
	}
}

// sdkSettings is the values of the SDK's own fields that matter to a connector: what the
// configuration gives where the author has exported the field, else the SDK's
// default.
type sdkSettings map[string]any

func (a *author[T]) sdkSettings(values map[string]any) sdkSettings {
	exported := map[string]field.SchemaField{}
	for _, f := range a.schema.Fields {
		exported[f.FieldName] = f
	}
	all := sdkSettings{}
	for _, own := range []field.SchemaField{field.HttpTimeoutField, field.ServerSessionStoreMaximumSizeField} {
		all[own.FieldName] = own.DefaultValue
		if by, ok := exported[own.FieldName]; ok {
			all[own.FieldName] = by.DefaultValue
		}
		if given, ok := values[own.FieldName]; ok {
			all[own.FieldName] = given
		}
	}
	return all
}

func (s sdkSettings) number(of field.SchemaField) int {
	number, _ := s[of.FieldName].(int)
	return number
}

// surround puts into the context what the SDK's command line does before it makes
// the connector.
func (o *hostServices) surround(ctx context.Context, settings sdkSettings) context.Context {
	if seconds := settings.number(field.HttpTimeoutField); seconds > 0 {
		ctx = context.WithValue(ctx, uhttp.ContextHTTPTimeoutKey, time.Duration(seconds)*time.Second)
	}
	if o.key != nil {
		ctx = context.WithValue(ctx, crypto.ContextClientSecretKey, o.key)
	}
	return ctx
}

// store is the session store as the SDK's command line makes it: a cache over the
// host's, or over nothing for a connector that did not ask for one.
func (o *hostServices) store(settings sdkSettings) sessions.SessionStore {
	construct := func(ctx context.Context, options ...sessions.SessionStoreConstructorOption) (sessions.SessionStore, error) {
		if o.sessions == nil {
			return &session.NoOpSessionStore{}, nil
		}
		return session.NewGRPCSessionStore(ctx, v1.NewBatonSessionServiceClient(o.sessions), options...)
	}
	return cli.NewLazyCachingSessionStore(construct, func(cache *otter.Options[string, []byte]) {
		// 0 is no cache.
		cache.MaximumWeight = uint64(max(settings.number(field.ServerSessionStoreMaximumSizeField), 0))
	})
}
