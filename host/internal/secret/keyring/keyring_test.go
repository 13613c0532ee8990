package keyring_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	library "github.com/zalando/go-keyring"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/keyring"
)

const canarySecret = "c4n4ry-k3yring/1b7740ee+9"

func TestKeyring_ChecksNames(t *testing.T) {
	t.Parallel()
	for name, isGood := range map[string]bool{
		"baton/fullstory": true, "https://app.example.com/scim/ann": true, "my app/ann lee": true,
		"": false, "baton": false, "/ann": false, "baton/": false, "/": false,
	} {
		err := keyring.New().Check(name)
		if isGood {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, "${keyring:SERVICE/ACCOUNT} takes the service and the account of an entry, with a / between them")
		_, err = keyring.New().Resolve(t.Context(), name)
		require.Error(t, err)
	}
}

// mockedVariable makes the test binary a process in which the library's stand-in is put in
// place, where it stays.
const mockedVariable = "KEYRING_TEST_MOCKED"

func TestKeyring_ReturnsEntriesAndExplainsErrors(t *testing.T) {
	if os.Getenv(mockedVariable) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // The test's own binary.
		child.Env = append(os.Environ(), mockedVariable+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/none")
	library.MockInit()
	require.NoError(t, library.Set("https://app/scim", "ann", canarySecret+"\n"))
	require.NoError(t, library.Set("app", "nul", canarySecret+"\x00"))
	store := keyring.New()
	value, err := store.Resolve(t.Context(), "https://app/scim/ann")
	require.NoError(t, err)
	require.Equal(t, canarySecret, value.Text.Reveal())
	_, err = store.Resolve(t.Context(), "app/nul")
	require.EqualError(t, err, "the value has a NUL in it, so it is no text")
	_, err = store.Resolve(t.Context(), "app/bob")
	require.EqualError(t, err, "the keyring has no entry of this service and account; add it for the user that the host runs as")
	require.False(t, secret.IsAway(err))

	for message, want := range map[string]string{
		"failed to unlock correct collection '/x'":                                "the keyring is locked; unlock it for the user that the host runs as",
		"The name org.freedesktop.secrets was not provided by any .service files": "no keyring runs in this session (org.freedesktop.secrets); start one, such as gnome-keyring",
		"dbus: something else": "the keyring cannot be asked: dbus: something else",
	} {
		library.MockInitWithError(errors.New(message))
		_, err := store.Resolve(t.Context(), "app/ann")
		require.EqualError(t, err, want)
		require.True(t, secret.IsAway(err))
	}
	library.MockInitWithError(library.ErrUnsupportedPlatform)
	_, err = store.Resolve(t.Context(), "app/ann")
	require.EqualError(t, err, "there is no keyring on this system")
	require.False(t, secret.IsAway(err))
}
