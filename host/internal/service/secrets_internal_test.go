package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// rotatedUploads are two uploads whose credentials are in files.
type rotatedUploads struct {
	t       *testing.T
	path    string // of the configuration
	clients map[string]c1.Credentials
}

const rotatedText = `plugins: { app: {} }
uploads:
  one: { plugins: [app], client-id: "${file:one.id}", client-secret: "${file:one.secret}" }
  two: { plugins: [app], client-id: "${file:two.id}", client-secret: "${file:two.secret}" }
`

func newRotatedUploads(t *testing.T) *rotatedUploads {
	t.Helper()
	r := &rotatedUploads{t: t, path: filepath.Join(t.TempDir(), "baton-host.yaml"), clients: map[string]c1.Credentials{}}
	server, err := c1.Start(c1.Options{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	for _, name := range []string{"one", "two"} {
		r.clients[name], err = server.AddClient(name)
		require.NoError(t, err)
		r.put(name+".id", r.clients[name].ID)
		r.put(name+".secret", r.clients[name].Secret)
	}
	return r
}

func (r *rotatedUploads) put(file, text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(filepath.Dir(r.path), file), []byte(text), 0o600))
}

func (r *rotatedUploads) load(text string, options ...config.Option) *config.Config {
	r.t.Helper()
	r.put(filepath.Base(r.path), text)
	loaded, err := config.Load(r.t.Context(), r.path, options...)
	require.NoError(r.t, err)
	return loaded
}

// TestSecrets_KeepThoseThatWorkWhereTheNewestCannotBeUsed, and the log says why, where it is
// in the file now.
func TestSecrets_KeepThoseThatWorkWhereTheNewestCannotBeUsed(t *testing.T) {
	t.Parallel()
	r := newRotatedUploads(t)
	loaded := r.load(rotatedText)
	core, logs := observer.New(zap.InfoLevel)
	clients := NewClients()
	for _, upload := range loaded.Uploads {
		require.Empty(t, clients.claim(upload.Name, upload.ClientID))
	}
	from := &origin{upload: loaded.Uploads[0], config: loaded}
	s := newSecrets(loaded.Uploads[0], from, clients, status.New(status.Options{}), zap.New(core))
	one, two := r.clients["one"], r.clients["two"]
	elsewhere := strings.Replace(one.ID, "@", "@other.", 1)
	host := func(id string) string { return strings.Split(strings.Split(id, "@")[1], "/")[0] }
	const cannot = "the newest credentials for C1 cannot be used; those known stay in use"
	for _, step := range []struct {
		name, id, secret string
		lines            int // before the text
		changed          bool
		says, why        string
	}{
		{name: "nothing", id: one.ID, secret: one.Secret},
		{name: "a new secret", id: one.ID, secret: two.Secret, changed: true, says: "the credentials for C1 have new values"},
		{name: "half a secret", id: one.ID, secret: two.Secret[:9], says: cannot, why: ":3:70: client-secret is not one that C1 gives out"},
		{name: "the same again", id: one.ID, secret: two.Secret[:9]},
		{
			name: "another tenant", id: elsewhere, secret: one.Secret, says: cannot,
			why: fmt.Sprintf("the client id is now of another tenant (%s, before %s), which takes a reload", host(elsewhere), host(one.ID)),
		},
		{name: "another upload's", id: two.ID, secret: two.Secret, says: cannot, why: `:3:37: client-id is the one of upload "two"; each upload is its own connector in C1`},
		{name: "the same, further down", id: two.ID, secret: two.Secret, lines: 2, says: cannot, why: `:5:37: client-id is the one of upload "two"`},
		{name: "right again", id: one.ID, secret: one.Secret, changed: true, says: "the credentials for C1 have new values"},
	} {
		r.put("one.id", step.id)
		r.put("one.secret", step.secret)
		if step.lines > 0 {
			moved := r.load(strings.Repeat("# A comment.\n", step.lines)+rotatedText, config.WithoutCredentials())
			from.move(moved.Uploads[0], moved)
		}
		before := s.upload().ClientSecret
		require.Equal(t, step.changed, s.resolve(t.Context()), step.name)
		require.Equal(t, one.ID, s.upload().ClientID, step.name)
		if !step.changed {
			require.Equal(t, before.Reveal(), s.upload().ClientSecret.Reveal(), step.name)
		}
		require.Equal(t, step.says != cannot && step.name != "the same again", s.areNewest(), step.name)
		said := logs.TakeAll()
		if step.says == "" {
			require.Empty(t, said, step.name)
			continue
		}
		require.Equal(t, step.says, said[0].Message, step.name)
		require.Contains(t, fmt.Sprint(said[0].ContextMap()["error"]), step.why, step.name)
	}
}

// TestService_WaitsForCredentialsOfItsOwn: those that were resolved late may be another
// upload's, which no check of the configuration could see.
func TestService_WaitsForCredentialsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRotatedUploads(t)
	r.put("two.id", r.clients["one"].ID)
	loaded := r.load(rotatedText, config.WithoutCredentials())
	clients, waits := NewClients(), make(chan struct{}, 100)
	core, logs := observer.New(zap.WarnLevel)
	log := zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		waits <- struct{}{}
		return nil
	}))
	services := make([]*Service, len(loaded.Uploads))
	for i, upload := range loaded.Uploads {
		services[i] = &Service{
			upload: upload, origin: &origin{upload: upload, config: loaded}, options: Options{Clients: clients},
			board: status.New(status.Options{}), log: log,
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resolved, err := services[0].awaitCredentials(ctx)
	require.NoError(t, err)
	require.Equal(t, r.clients["one"].ID, resolved.ClientID)
	go func() {
		<-waits
		r.put("two.id", r.clients["two"].ID)
	}()
	resolved, err = services[1].awaitCredentials(ctx)
	require.NoError(t, err)
	require.Equal(t, r.clients["two"].ID, resolved.ClientID)
	said := logs.All()[0]
	require.Equal(t, "the credentials for C1 cannot be used; trying again", said.Message)
	require.Contains(t, fmt.Sprint(said.ContextMap()["error"]), `:4:37: client-id is the one of upload "one"`)

	// A client that an upload has been is free.
	require.Equal(t, "two", clients.claim("one", r.clients["two"].ID))
	clients.release("two")
	require.Empty(t, clients.claim("one", r.clients["two"].ID))
	require.Empty(t, clients.claim("two", r.clients["one"].ID))
}

// TestSecrets_ShowTheHostsWordsOfAProblem on the board, where there is no login.
func TestSecrets_ShowTheHostsWordsOfAProblem(t *testing.T) {
	t.Parallel()
	upload := &config.Upload{Name: "one"}
	board := status.New(status.Options{Uploads: []status.Served{{Name: "one"}}})
	s := newSecrets(upload, &origin{upload: upload}, NewClients(), board, zap.NewNop())
	var problem settings.Problem
	problem.Unresolve(&secret.ReferenceError{Reference: secret.Reference{Scheme: "exec", Name: "op x"}, Err: &secret.ReportedError{
		Err: errors.New("the program failed with exit status 1: said by it"), Words: "the program failed with exit status 1",
	}})
	s.wrong = settings.Problems{problem}
	s.show()
	require.Equal(t, []secret.Credential{{Reference: "${exec:op x}", Problem: "${exec:op x}: the program failed with exit status 1"}}, board.Snapshot().Uploads[0].Credentials)
}
