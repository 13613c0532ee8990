package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// fieldsOf returns the names of a structure's fields.
func fieldsOf[T any]() (names []string) {
	for field := range reflect.TypeFor[T]().Fields() {
		names = append(names, field.Name)
	}
	return names
}

// trial is an upload of two apps, of which one fails in the second sync, 50 hours after
// the first.
type trial struct {
	name, plugins, policy, maxStale string
	newPlugin                       string
	client, secretOf                string // who the upload is at C1, and with whose secret
}

// preparedTrial is a trial whose apps, C1 and configuration are there.
type preparedTrial struct {
	fullstory *app
	config    string
	tenant    tenant
}

func (s trial) start(t *testing.T) preparedTrial {
	t.Helper()
	fullstory := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1})
	design := startApp(t, scimsandbox.Options{App: "design-tool", Accounts: 2, Seed: 2})
	c := startC1(t, c1.Options{})
	ids, secrets := map[string]string{}, map[string]string{}
	for _, name := range []string{"one", "other"} {
		client, err := c.AddClient(name)
		require.NoError(t, err)
		ids[name], secrets[name] = client.ID, client.Secret
	}
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(secrets[s.secretOf]), 0o600))
	return preparedTrial{fullstory: fullstory, tenant: c, config: configuration(
		t, []string{fullstory.entry("fullstory"), design.entry("design-tool")},
		fmt.Sprintf("%s: { plugins: [%s], on-plugin-failure: %s, max-stale: %s, new-plugin: %s, client-id: %q, client-secret: \"${file:%s}\" }",
			s.name, s.plugins, s.policy, s.maxStale, s.newPlugin, ids[s.client], secret),
	)}
}

// oneShot returns what came of it, in words that can be compared.
func (s trial) oneShot(t *testing.T) string {
	t.Helper()
	f, dir := s.start(t), t.TempDir()
	_, err := oneShot(t, f.config, dir, host.Options{})
	require.NoError(t, err)
	if s.policy == "last-good" {
		makeOld(t, filepath.Join(dir, s.name+".c1z"), 50*time.Hour)
	}
	f.fullstory.fail(0)
	results, err := oneShot(t, f.config, dir, host.Options{})
	require.Len(t, results, 1)
	_, newErr := oneShot(t, f.config, t.TempDir(), host.Options{}) // There the app is new.
	return fmt.Sprint(namesIn(t, dir)[0], results[0].Upload, results[0].Plugins, results[0].Accounts, len(results[0].Stale), err == nil, newErr == nil)
}

// serve returns the same of a service.
func (s trial) serve(t *testing.T) string {
	t.Helper()
	f, state := s.start(t), t.TempDir()
	running := f.tenant.serve(t, f.config, host.Options{StateDir: state}, host.ServeOptions{})
	if s.client != s.secretOf {
		return fmt.Sprint("refused: ", running.ends() != nil)
	}
	first := f.tenant.finished(t, f.tenant.fullSync(t, s.client))
	require.True(t, first.Succeeded, "%v", first.Status)
	running.stop()
	makeOld(t, filepath.Join(state, s.name+".c1z"), 50*time.Hour)
	f.fullstory.fail(0)
	running = f.tenant.serve(t, f.config, host.Options{StateDir: state}, host.ServeOptions{})
	second := f.tenant.finished(t, f.tenant.fullSync(t, s.client))
	running.stop()
	running = f.tenant.serve(t, f.config, host.Options{StateDir: t.TempDir()}, host.ServeOptions{})
	isNew := f.tenant.finished(t, f.tenant.fullSync(t, s.client)) // There the app is new.
	running.stop()
	accounts := 0
	if second.Succeeded {
		accounts = len(accountsIn(t, second.Uploads[0].Path))
	}
	return fmt.Sprint(s.client, strings.Join(namesIn(t, state), " "), accounts, second.Succeeded, isNew.Succeeded)
}

// TestUploadCarriesEveryField: what is in an upload's entry reaches its syncs and its
// service. A field that is added and has no row here fails; so does one that is wired
// nowhere, as it changes nothing.
func TestUploadCarriesEveryField(t *testing.T) {
	t.Parallel()
	base := trial{name: "workforce", plugins: "fullstory, design-tool", policy: "last-good", maxStale: "72h", newPlugin: "join-when-ready", client: "one", secretOf: "one"}
	rows := map[string]struct {
		change  func(s *trial)
		service bool // it is for the service only
	}{
		"Name":         {change: func(s *trial) { s.name = "people" }},
		"Plugins":      {change: func(s *trial) { s.plugins = "design-tool" }},
		"LastGood":     {change: func(s *trial) { s.policy = "fail" }},
		"MaxStale":     {change: func(s *trial) { s.maxStale = "49h" }},
		"NewPlugin":    {change: func(s *trial) { s.newPlugin = "wait" }},
		"ClientID":     {change: func(s *trial) { s.client, s.secretOf = "other", "other" }, service: true},
		"ClientSecret": {change: func(s *trial) { s.secretOf = "other" }, service: true},
	}
	// What the file has of the credentials, and their references: ClientID and ClientSecret
	// are made of it.
	unresolved := []string{"Resolved", "credentials"}
	fields := slices.DeleteFunc(fieldsOf[config.Upload](), func(name string) bool { return slices.Contains(unresolved, name) })
	for _, field := range fields {
		require.Contains(t, rows, field, "show here what the new field does in a sync and in a service")
	}
	require.Len(t, rows, len(fields))
	loaded := func(t *testing.T, s trial) reflect.Value {
		t.Helper()
		cfg, err := config.Load(t.Context(), s.start(t).config)
		require.NoError(t, err)
		require.Len(t, cfg.Uploads, 1)
		return reflect.ValueOf(*cfg.Uploads[0])
	}
	want, wantServed := base.oneShot(t), base.serve(t)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raced.Sample(t, 3)
			changed := base
			row.change(&changed)
			require.NotEqual(t, loaded(t, base).FieldByName(name).Interface(), loaded(t, changed).FieldByName(name).Interface(), "the row changes the field")
			if row.service {
				require.Equal(t, want, changed.oneShot(t))
			} else {
				require.NotEqual(t, want, changed.oneShot(t), "it is lost in a sync")
			}
			require.NotEqual(t, wantServed, changed.serve(t), "it is lost in a service")
		})
	}
}

// TestGuardCarriesEveryField: the same for the change guard of a plugin's entry, which
// the syncs use; the other fields of an entry are those of the fleet.
func TestGuardCarriesEveryField(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		keys              string
		before, then, now int  // then, a day before now, is a sync that passes; 0: there is none
		unaddressed       bool // now
		passes            bool // without the keys it is the other way
	}{
		"Off":                {keys: "off", before: 40, now: 0, passes: true},
		"Limits.KeepPercent": {keys: "{ keep-percent: 90 }", before: 40, now: 30},
		"Limits.MinMissing":  {keys: "{ min-missing: 40 }", before: 40, now: 1, passes: true},
		"Limits.Explicit":    {keys: "{ min-missing: 10 }", before: 18, now: 9, passes: true},
		"Window":             {keys: "{ window: 1h }", before: 40, then: 25, now: 19, passes: true},
		"RefuseAttributes":   {keys: "{ attributes: refuse }", before: 40, now: 40, unaddressed: true},
		"ByType":             {keys: "{ resource-types: { user: { keep-percent: 90 } } }", before: 40, now: 30},
	}
	var fields []string
	for _, field := range fieldsOf[config.ChangeGuard]() {
		if field != "Limits" {
			fields = append(fields, field)
		}
	}
	for _, field := range fieldsOf[config.GuardLimits]() {
		fields = append(fields, "Limits."+field)
	}
	for _, field := range fields {
		require.Contains(t, rows, field, "show here what the new field does")
	}
	require.Len(t, rows, len(fields))
	for name, row := range rows {
		for _, guard := range []string{row.keys, ""} {
			passes := row.passes == (guard != "")
			var more []string
			if guard != "" {
				more = []string{"change-guard: " + guard}
			}
			t.Run(fmt.Sprintf("%s/sync/%t", name, guard != ""), func(t *testing.T) {
				t.Parallel()
				raced.Sample(t, 3)
				app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: row.before, Seed: 4})
				path, dir := configuration(t, []string{app.entry("fullstory", more...)}, "workforce: { plugins: [fullstory] }"), t.TempDir()
				_, err := oneShot(t, path, dir, host.Options{})
				require.NoError(t, err)
				if row.then > 0 {
					app.keepOnly(t, row.then)
					_, err = oneShot(t, path, dir, host.Options{})
					require.NoError(t, err)
					makeOld(t, filepath.Join(dir, "workforce.c1z"), 24*time.Hour)
				}
				app.keepOnly(t, row.now)
				if row.unaddressed {
					app.change(t, withoutEmail)
				}
				_, err = oneShot(t, path, dir, host.Options{})
				require.Equal(t, passes, err == nil, "%v", err)
			})
			t.Run(fmt.Sprintf("%s/serve/%t", name, guard != ""), func(t *testing.T) {
				t.Parallel()
				raced.Sample(t, 3)
				app, c := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: row.before, Seed: 4}), startC1(t, c1.Options{})
				path := configuration(t, []string{app.entry("fullstory", more...)}, "workforce: { plugins: [fullstory], "+c.credentials(t, "workforce")+" }")
				state := t.TempDir()
				c.serve(t, path, host.Options{StateDir: state}, host.ServeOptions{})
				require.True(t, c.finished(t, c.fullSync(t, "workforce")).Succeeded)
				if row.then > 0 {
					app.keepOnly(t, row.then)
					require.True(t, c.finished(t, c.fullSync(t, "workforce")).Succeeded)
					makeOld(t, filepath.Join(state, "workforce.c1z"), 24*time.Hour)
				}
				app.keepOnly(t, row.now)
				if row.unaddressed {
					app.change(t, withoutEmail)
				}
				outcome := c.finished(t, c.fullSync(t, "workforce"))
				require.Equal(t, passes, outcome.Succeeded, "%v", outcome.Status)
			})
		}
	}
}
