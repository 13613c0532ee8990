package wizard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config/wizard"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// urlSchema is of an app that needs an address and a token.
func urlSchema() *pluginv1.ConfigurationSchema {
	return schema(
		&pluginv1.Field{Name: "base-url", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Placeholder: "https://app.example.com"},
		&pluginv1.Field{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true},
	)
}

func addRequest(dir string, existing *wizard.Existing) wizard.Request {
	return wizard.Request{
		App: "zeta", Manifest: &pluginv1.Manifest{Configuration: urlSchema()}, Dir: dir, Existing: existing,
		Lookup: func(string) (string, bool) { return "", false },
		Fields: map[string]string{"base-url": "https://zeta.example.com/a", "token": "${env:ZETA}"},
	}
}

// TestAdd_KeepsWhatIsThere: the file has the plugin more, and is the same otherwise, byte
// for byte.
func TestAdd_KeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	const entry = "  zeta:\n    config:\n      base-url: https://zeta.example.com/a\n      token: ${env:ZETA}\n"
	const inBraces = " zeta: {config: {base-url: 'https://zeta.example.com/a', token: \"${env:ZETA}\"}}"
	for name, c := range map[string]struct {
		before, after string
		change        func(*wizard.Request)
	}{
		"block style": {
			before: "# mine\nplugins:\n  one: {} # first\n\n# who goes up\nuploads:\n  workforce:\n    plugins: [one] # all\n",
			after:  "# mine\nplugins:\n  one: {} # first\n" + entry + "\n# who goes up\nuploads:\n  workforce:\n    plugins: [one, zeta] # all\n",
		},
		"uploads first": {
			before: "uploads: { workforce: { plugins: [\"one\"] } }\nplugins:\n  one: {}\n",
			after:  "uploads: { workforce: { plugins: [\"one\", zeta] } }\nplugins:\n  one: {}\n" + entry,
		},
		"a list with dashes": {
			before: "plugins:\n  one: {}\nuploads:\n  workforce:\n    plugins:\n      - one # x\n    max-stale: 1h\n",
			after:  "plugins:\n  one: {}\n" + entry + "uploads:\n  workforce:\n    plugins:\n      - one # x\n      - zeta\n    max-stale: 1h\n",
		},
		"braces": {
			before: "{ plugins: { one: {} }, uploads: { workforce: { plugins: [ one ] } } }\n",
			after:  "{ plugins: {" + inBraces + ", one: {} }, uploads: { workforce: { plugins: [ one, zeta ] } } }\n",
		},
		"no uploads":           {before: "plugins:\n  one: {}\n", after: "plugins:\n  one: {}\n" + entry + "uploads:\n  workforce:\n    plugins: [zeta]\n"},
		"no end of the line":   {before: "plugins:\n  one: {}", after: strings.TrimSuffix("plugins:\n  one: {}\n"+entry+"uploads:\n  workforce:\n    plugins: [zeta]\n", "\n")},
		"lines of Windows":     {before: "plugins:\r\n  one: {}\r\nuploads:\r\n  a:\r\n    plugins: [one]\r\n", after: "plugins:\r\n  one: {}\r\n" + strings.ReplaceAll(entry, "\n", "\r\n") + "uploads:\r\n  a:\r\n    plugins: [one, zeta]\r\n"},
		"a byte order mark":    {before: "\xef\xbb\xbfplugins:\n  one: {}\nuploads: { a: { plugins: [one] } }\n", after: "\xef\xbb\xbfplugins:\n  one: {}\n" + entry + "uploads: { a: { plugins: [one, zeta] } }\n"},
		"four spaces":          {before: "plugins:\n    one: {}\nuploads:\n    a:\n        plugins: [one]\n", after: "plugins:\n    one: {}\n    zeta:\n        config:\n            base-url: https://zeta.example.com/a\n            token: ${env:ZETA}\nuploads:\n    a:\n        plugins: [one, zeta]\n"},
		"a comment at the end": {before: "uploads: { a: { plugins: [one] } }\nplugins:\n  one: {}\n  # two: {}\n\n# the end\n", after: "uploads: { a: { plugins: [one, zeta] } }\nplugins:\n  one: {}\n  # two: {}\n" + entry + "\n# the end\n"},
		"letters of two bytes": {before: "plugins: { one: { config: { x: \"ä\" } } }\nuploads: { a: { max-stale: 1h, plugins: [one] } } # é\n", after: "plugins: {" + inBraces + ", one: { config: { x: \"ä\" } } }\nuploads: { a: { max-stale: 1h, plugins: [one, zeta] } } # é\n"},
		"one of several uploads": {
			before: "plugins: { one: {} }\nuploads:\n  a: { plugins: [one] }\n  b: { plugins: [one] }\n", change: func(r *wizard.Request) { r.Upload = "b" },
			after: "plugins: {" + inBraces + ", one: {} }\nuploads:\n  a: { plugins: [one] }\n  b: { plugins: [one, zeta] }\n",
		},
		"a new upload": {
			before: "plugins:\n  one: {}\nuploads:\n  a: { plugins: [one] }\n",
			change: func(r *wizard.Request) {
				r.Upload, r.ClientID, r.ClientSecret = "b", "${env:ID}", "${file:/run/secret}"
			},
			after: "plugins:\n  one: {}\n" + entry + "uploads:\n  a: { plugins: [one] }\n  b:\n    plugins: [zeta]\n    client-id: ${env:ID}\n    client-secret: ${file:/run/secret}\n",
		},
		"a name": {
			before: "plugins:\n  zeta: {}\n", change: func(r *wizard.Request) { r.Instance, r.Fields = "second", map[string]string{"base-url": "https://x"} },
			after: "plugins:\n  zeta: {}\n  second:\n    app: zeta\n    config:\n      base-url: https://x\nuploads:\n  workforce:\n    plugins: [second]\n",
		},
		"nothing behind uploads": {
			before: "plugins:\n    one: {}\nuploads: # none yet\n# the end\n",
			after:  "plugins:\n    one: {}\n    zeta:\n        config:\n            base-url: https://zeta.example.com/a\n            token: ${env:ZETA}\nuploads: # none yet\n    workforce:\n        plugins: [zeta]\n# the end\n",
		},
		"nothing behind plugins": {
			before: "state-dir: s\nplugins:\n  # one: {}\n",
			after:  "state-dir: s\nplugins:\n" + entry + "  # one: {}\nuploads:\n  workforce:\n    plugins: [zeta]\n",
		},
		"no plugins":        {before: "state-dir: s\n", after: "state-dir: s\nplugins:\n" + entry + "uploads:\n  workforce:\n    plugins: [zeta]\n"},
		"braces of nothing": {before: "plugins: {}\nuploads: {}\n", after: "plugins: {" + inBraces + " }\nuploads: { workforce: {plugins: [zeta]} }\n"},
		"JSON": {
			before: "{\n  \"plugins\": {\n    \"one\": {}\n  },\n  \"uploads\": {\"a\": {\"plugins\": [\"one\"]}}\n}\n",
			after:  "{\n  \"plugins\": { \"zeta\": {\"config\": {\"base-url\": \"https://zeta.example.com/a\", \"token\": \"${env:ZETA}\"}},\n    \"one\": {}\n  },\n  \"uploads\": {\"a\": {\"plugins\": [\"one\", \"zeta\"]}}\n}\n",
		},
		"a directory of plugins": {
			before: "plugin-dirs: [a]\nplugins:\n  one: {}\nuploads: { a: { plugins: [one] } }\n", change: func(r *wizard.Request) { r.PluginDir = "bin" },
			after: "plugin-dirs: [a, bin]\nplugins:\n  one: {}\n" + entry + "uploads: { a: { plugins: [one, zeta] } }\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "baton-host.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.before), 0o600))
			require.NoError(t, os.Chmod(path, 0o640)) //nolint:gosec // It is the mode that is to stay.
			existing, err := wizard.OpenExisting(t.Context(), path)
			require.NoError(t, err)
			request := addRequest(dir, existing)
			if c.change != nil {
				c.change(&request)
			}
			plan, err := wizard.Given(request)
			require.NoError(t, err)
			err = write(t.Context(), plan, path)
			require.NoError(t, err)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.after, string(after))
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

func TestAdd_RefusesWhatItCannotAddTo(t *testing.T) {
	t.Parallel()
	const good = "plugins:\n  one: {}\nuploads:\n  a: { plugins: [one] }\n"
	for name, c := range map[string]struct {
		before string
		mode   os.FileMode
		change func(*wizard.Request)
		meant  string
	}{
		"nothing":                                {meant: "write the first one with baton-host init"},
		"comments only":                          {before: "# mine\n", meant: "there is nothing in this file yet; remove it"},
		"a value that says nothing":              {before: "plugins: null\n", meant: "plugins is empty"},
		"two documents":                          {before: good + "---\n" + good, meant: "second YAML document"},
		"a name that is there twice":             {before: "plugins:\n  one: {}\n  one: {}\n", meant: `"one" is given twice`},
		"an upload of what is not there":         {before: "plugins: {}\n" + "uploads: { a: { plugins: [one] } }\n", meant: `"one" is not defined`},
		"a text that keeps its blank lines":      {before: "uploads: { a: { plugins: [one] } }\nplugins:\n  one:\n    config:\n      x: |+\n        text\n\n", meant: "add the plugin by hand"},
		"lines that end in a carriage return":    {before: "plugins:\r  one: {}\ruploads:\r  a:\r    plugins: [one]\r", meant: "add the plugin by hand"},
		"a wrong file":                           {before: "plugins: []\n", meant: "plugins"},
		"a file to be read only":                 {before: good, mode: 0o400, meant: "may not be written"},
		"a name that is there":                   {before: good, change: func(r *wizard.Request) { r.Instance = "one" }, meant: `there is a plugin "one" already`},
		"several uploads":                        {before: good + "  b: { plugins: [one] }\n", meant: "--upload: a, b"},
		"a list by its anchor":                   {before: "plugins: { one: {} }\nuploads:\n  a: { plugins: &all [one] }\n  b: { plugins: *all }\n", change: func(r *wizard.Request) { r.Upload = "b" }, meant: "aliases are not supported"},
		"credentials of an upload that is there": {before: good, change: func(r *wizard.Request) { r.ClientID, r.ClientSecret = "${env:A}", "${env:B}" }, meant: "is there already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "baton-host.yaml")
			if c.before != "" {
				require.NoError(t, os.WriteFile(path, []byte(c.before), 0o600))
			}
			if c.mode != 0 {
				require.NoError(t, os.Chmod(path, c.mode))
			}
			existing, err := wizard.OpenExisting(t.Context(), path)
			var plan *wizard.Plan
			if err == nil {
				request := addRequest(dir, existing)
				if c.change != nil {
					c.change(&request)
				}
				plan, err = wizard.Given(request)
			}
			if err == nil {
				err = write(t.Context(), plan, path)
			}
			require.ErrorContains(t, err, c.meant)
			after, _ := os.ReadFile(path) // There may be none.
			require.Equal(t, c.before, string(after))
		})
	}
}

func TestAdd_KeepsALinkAndWhatSomebodyElseWrites(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, link := filepath.Join(elsewhere, "real.yaml"), filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(target, []byte("plugins:\n  one: {}\n"), 0o600))
	require.NoError(t, os.Symlink(target, link))
	existing, err := wizard.OpenExisting(t.Context(), link)
	require.NoError(t, err)
	plan, err := wizard.Given(addRequest(dir, existing))
	require.NoError(t, err)
	err = write(t.Context(), plan, link)
	require.NoError(t, err)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type())
	err = write(t.Context(), plan, link)
	require.ErrorContains(t, err, "has changed meanwhile")

	// As Kubernetes changes a ConfigMap: the link leads elsewhere, to the same content.
	existing, err = wizard.OpenExisting(t.Context(), link)
	require.NoError(t, err)
	request := addRequest(dir, existing)
	request.Instance = "other"
	plan, err = wizard.Given(request)
	require.NoError(t, err)
	draft, err := plan.Draft(t.Context(), link)
	require.NoError(t, err)
	content, err := os.ReadFile(target)
	require.NoError(t, err)
	next := filepath.Join(elsewhere, "next.yaml")
	require.NoError(t, os.WriteFile(next, content, 0o600))
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(next, link))
	_, err = draft.Place(t.Context())
	require.ErrorContains(t, err, "has changed meanwhile")
	for _, dir := range []string{dir, elsewhere} {
		left, err := filepath.Glob(filepath.Join(dir, ".baton-host-*"))
		require.NoError(t, err)
		require.Empty(t, left, "drafts")
	}
}

// TestAdd_KeepsEveryByteOfUnusualFiles: whatever a file looks like, only something is added
// to it, and the host takes the result.
func TestAdd_KeepsEveryByteOfUnusualFiles(t *testing.T) {
	t.Parallel()
	const up = "uploads: { a: { plugins: [one] } }\n"
	for _, before := range []string{
		"plugins:\r\n  one: {}\r\nuploads:\r\n  a:\r\n    plugins:\r\n      - one",
		"plugins:\n  one: {}\r\nuploads:\r\n  a:\n    plugins: [one]\r\n",
		"plugins:\t\n  one:\t{} #\tx\n\n" + up,
		"# x\n--- # y\nplugins:\n  one: {}\n...\n# z\n",
		"# Größe 漢字\nplugins:\n  one: { config: { \"größe\": \"漢字\" } } # ü\nuploads: { a: { plugins: [one] } } # é\n",
		"# " + strings.Repeat("x", 100_000) + "\nplugins:\n  one: { config: { a: \"" + strings.Repeat("y ", 50_000) + "\" } }\n" + up,
		"plugins:\n  one:\n    config:\n      a: " + strings.Repeat("y ", 500) + "\n        more\n" + up,
		"plugins:\n  one:\n    config:\n      a: \"x\n  y\n  z\"\n" + up,
		up + "plugins:\n  one:\n    config:\n      a: |\n        text\n        # text too\n\n\n",
		up + "plugins:\n  one: # nothing",
		"\"plugins\":\n  'one': {}\n'uploads':\n  \"a\": { 'plugins': ['one'] }\n",
		"plugins: {\n  one: {}, # c\n  # d\n}\nuploads: { a: { plugins: [\n  one, # x\n] } }\n",
		"plugins:\n  one: {}\nuploads:\n  a:\n    plugins:\n    - one\n    # - two\n    max-stale: 1h\n",
		"plugins:\n  one: {}\n# c\n  two: {}\nuploads: { a: { plugins: [one, two] } }\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
		existing, err := wizard.OpenExisting(t.Context(), path)
		require.NoError(t, err, before)
		plan, err := wizard.Given(addRequest(dir, existing))
		require.NoError(t, err, before)
		err = write(t.Context(), plan, path)
		require.NoError(t, err, before)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		rest := before
		for _, one := range after {
			if rest != "" && rest[0] == one {
				rest = rest[1:]
			}
		}
		require.Empty(t, rest, "%q", after)
		again, err := wizard.OpenExisting(t.Context(), path)
		require.NoError(t, err, "%q", after)
		_, err = wizard.Given(addRequest(dir, again))
		require.ErrorContains(t, err, `there is a plugin "zeta" already`)
	}
}

// TestAsk_ChecksAURLAtOnce: what is no URL is asked for again.
func TestAsk_ChecksAURLAtOnce(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"foo", "http://", "https:///x", "ftp://app.example.com", "app.example.com", "https://a b", "https://:443"} {
		p := &person{t: t, answers: []string{"", wrong, "https://zeta.example.com", "4", "", "", ""}}
		_, _ = wizard.Ask(p, wizard.Request{
			App: "zeta", Manifest: &pluginv1.Manifest{Configuration: urlSchema()}, Dir: t.TempDir(), Lookup: func(string) (string, bool) { return "", false },
		})
		require.Regexp(t, `base-url (must be a whole URL|must begin with https|has no host)`, p.said.String(), wrong)
		require.Contains(t, p.said.String(), "https://zeta.example.com\n")
	}
}
