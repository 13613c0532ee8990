package config_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
)

// walk calls visit for a key's keys and for all below them, in the order of the table,
// with their paths: "plugins.NAME.app".
func walk(prefix string, section config.Key, visit func(path string, key config.Key)) {
	for _, key := range section.Keys {
		path := prefix + key.Name
		visit(path, key)
		below := path + "."
		if key.Kind == config.KindNamed {
			below += key.Placeholder + "."
		}
		walk(below, key, visit)
	}
}

// key is the key of a path, such as plugins.NAME.app.
func key(path string) (found config.Key) {
	walk("", config.KeyFile, func(at string, key config.Key) {
		if at == path {
			found = key
		}
	})
	return found
}

// sections are a file with an unknown key in each section, by what the table has
// for it.
var sections = map[string]struct {
	text string
	keys []config.Key
}{
	"the file":            {"frobnicate: 1\nplugins: { a: {} }\n", config.KeyFile.Keys},
	"a plugin":            {"plugins: { a: { frobnicate: 1 } }\n", config.KeyPlugins.Keys},
	"a change guard":      {"plugins: { a: { change-guard: { frobnicate: 1 } } }\n", key("plugins.NAME.change-guard").Keys},
	"a guard of one type": {"plugins: { a: { change-guard: { resource-types: { user: { frobnicate: 1 } } } } }\n", key("plugins.NAME.change-guard.resource-types").Keys},
	"a field":             {"plugins: { a: { unmodified: true, fields: { f: { frobnicate: 1 } } } }\n", key("plugins.NAME.fields").Keys},
	"notify":              {"notify: { frobnicate: 1, url: 'https://h', secret: '" + webhookSecret + "' }\nplugins: { a: {} }\n", key("notify").Keys},
	"the trust":           {"trust: { frobnicate: 1 }\nplugins: { a: {} }\n", key("trust").Keys},
	"an upload":           {"plugins: { a: {} }\nuploads: { u: { plugins: [a], frobnicate: 1 } }\n", config.KeyUploads.Keys},
}

var takes = regexp.MustCompile(`"frobnicate"; .* takes ([a-z, -]+)`)

func TestTable_HasTheKeysThatAreRead(t *testing.T) {
	t.Parallel()
	for name, section := range sections {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, section.text, nil)
			require.Error(t, err)
			said := takes.FindStringSubmatch(err.Error())
			require.NotNil(t, said, err.Error())
			var names []string
			for _, key := range section.keys {
				names = append(names, key.Name)
			}
			require.ElementsMatch(t, names, strings.Split(said[1], ", "))
		})
	}
}

// TestTable_HasTheDefaultsOfTheReader writes every default out.
func TestTable_HasTheDefaultsOfTheReader(t *testing.T) {
	t.Parallel()
	var file, trust, plugin, guard, upload strings.Builder
	count := 0
	walk("", config.KeyFile, func(path string, key config.Key) {
		if key.Default == "" {
			return
		}
		into := map[string]*strings.Builder{"": &file, "trust.": &trust, "plugins.NAME.": &plugin, "plugins.NAME.change-guard.": &guard, "uploads.NAME.": &upload}[strings.TrimSuffix(path, key.Name)]
		if strings.HasPrefix(path, config.NameHelpers) {
			return // A program that returns secrets is no part of a Config.
		}
		require.NotNil(t, into, path)
		end := ", "
		if into == &file {
			end = "\n"
		}
		fmt.Fprintf(into, "%s: %s%s", key.Name, key.Default, end)
		count++
	})
	require.GreaterOrEqual(t, count, 13)
	text := func(file, trust, plugin, guard, upload string) string {
		return file + fmt.Sprintf("trust: { %s }\nplugins: { a: { %s change-guard: { %s } } }\nuploads: { u: { %s plugins: [a] } }\n", trust, plugin, guard, upload)
	}
	read := func(text string) *config.Config {
		cfg, _, err := load(t, text, nil)
		require.NoError(t, err)
		cfg.Path = ""
		return cfg
	}
	written, usual := read(text(file.String(), trust.String(), plugin.String(), guard.String(), upload.String())), read(text("", "", "", "", ""))
	ignore := cmp.Options{cmpopts.IgnoreTypes(&settings.Settings{}), cmpopts.IgnoreFields(config.Upload{}, "ClientSecret"), cmpopts.IgnoreUnexported(config.Config{}, config.Upload{})}
	require.Empty(t, cmp.Diff(usual, written, ignore))
	require.NotEmpty(t, cmp.Diff(usual, read(text("", "", "restart-limit: 6,", "", "")), ignore), "the comparison sees a difference")
}

func TestTable_HasAMeaningAndAFormForEveryKey(t *testing.T) {
	t.Parallel()
	var paths []string
	walk("", config.KeyFile, func(path string, key config.Key) {
		paths = append(paths, path)
		require.NotEmpty(t, key.Meaning, path)
		require.NotRegexp(t, `\.$`, key.Meaning, path)
		require.NotEmpty(t, key.Form(), path)
		if key.Kind == config.KindDuration || key.Kind == config.KindSize {
			require.Less(t, key.Least, key.Most, path)
			require.NotEmpty(t, key.Example, path)
		}
	})
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(paths))), len(paths))
	require.Contains(t, paths, "plugins.NAME.change-guard.resource-types.TYPE.keep-percent")
	require.Equal(t, "a duration from 1m to 2160h", key("uploads.NAME.max-stale").Form())
	require.Equal(t, "a size from 64KiB to 32MiB", key("plugins.NAME.max-page-size").Form())
	require.Equal(t, "`off`, or a mapping", key("plugins.NAME.change-guard").Form())
}
