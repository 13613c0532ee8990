package check_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/stretchr/testify/require"
)

// service is the section [Service] of the unit: the values of each setting.
func service(t *testing.T) map[string][]string {
	t.Helper()
	options, err := unit.DeserializeOptions(bytes.NewReader(read(t, root+"/deploy/baton-host.service")))
	require.NoError(t, err)
	settings := map[string][]string{}
	for _, option := range options {
		if option.Section == "Service" {
			settings[option.Name] = append(settings[option.Name], option.Value)
		}
	}
	return settings
}

func TestUnit_LoadsTheSecretsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	settings := service(t)
	var loaded, named []string
	for _, credential := range settings["LoadCredential"] {
		name, file, ok := strings.Cut(credential, ":")
		require.True(t, ok)
		require.Equal(t, "/etc/baton-host/credentials/"+name, file)
		loaded = append(loaded, name)
	}
	references := regexp.MustCompile(`\$\{(\w+):([^}]*)\}`).FindAllStringSubmatch(string(read(t, root+"/deploy/baton-host.yaml")), -1)
	for _, reference := range references {
		require.Equal(t, "file", reference[1])
		name, ok := strings.CutPrefix(reference[2], "/run/credentials/baton-host.service/")
		require.True(t, ok, "%s is no credential of the unit", reference[0])
		named = append(named, name)
	}
	require.NotEmpty(t, named)
	require.ElementsMatch(t, loaded, named)
}

func TestUnit_LetsTheHostStopItsPlugins(t *testing.T) {
	t.Parallel()
	settings := service(t)
	require.Equal(t, []string{"mixed"}, settings["KillMode"], "else plugins are stopped under the syncs that are to be finished")
	require.Equal(t, []string{"continue"}, settings["OOMPolicy"], "else a plugin takes the host with it")
	require.Equal(t, []string{"/bin/kill -HUP $MAINPID"}, settings["ExecReload"])
	command := strings.Fields(settings["ExecStart"][0])
	grace, err := time.ParseDuration(flag(t, command, "grace"))
	require.NoError(t, err)
	allowed, err := time.ParseDuration(settings["TimeoutStopSec"][0])
	require.NoError(t, err)
	require.GreaterOrEqual(t, allowed, grace+afterGrace)
}

func TestUnit_GrantsWhatTheHostNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	settings := service(t)
	command := strings.Fields(settings["ExecStart"][0])
	require.Equal(t, []string{images["baton-host"], "run"}, command[:2], "where the images have it, too")
	require.Equal(t, "/etc/baton-host/baton-host.yaml", flag(t, command, "config"))
	require.Regexp(t, `^127\.0\.0\.1:`, flag(t, command, "listen"), "others are on this machine, too")
	for name, want := range map[string]string{
		"DynamicUser": "yes", "StateDirectory": "baton-host", "StateDirectoryMode": "0700", "PrivateTmp": "yes",
		"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
		"MemoryDenyWriteExecute": "yes", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
	} {
		require.Equal(t, []string{want}, settings[name], name)
	}
	require.NotContains(t, settings, "User")
	require.NotContains(t, settings, "Environment", "it is no place for a secret, and nothing else is needed")
}

// TestUnit_LetsTheHostContainItsPlugins: the group @system-service has no calls of Landlock
// or seccomp, and control groups that can only be read take no plugin.
func TestUnit_LetsTheHostContainItsPlugins(t *testing.T) {
	t.Parallel()
	settings := service(t)
	allowed := strings.Fields(strings.Join(settings["SystemCallFilter"], " "))
	require.Subset(t, allowed, []string{"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"})
	require.Equal(t, []string{"memory pids"}, settings["Delegate"])
	require.NotContains(t, settings, "ProtectControlGroups")
}
