package keyring_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/keyring"
)

func TestKeyring_IsAwayWithoutASessionBus(t *testing.T) {
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d", os.Getuid())); err == nil {
		t.Skip("this user has a session")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	for _, address := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		_, err := keyring.New().Resolve(t.Context(), "app/ann")
		require.EqualError(t, err, "there is no session bus (D-Bus), by which a keyring is asked; start the host in the session of its user, or set DBUS_SESSION_BUS_ADDRESS")
		require.True(t, secret.IsAway(err))
	}
}

func TestKeyring_IsAwayWhereTheBusIs(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	_, err := keyring.New().Resolve(t.Context(), "app/ann")
	require.ErrorContains(t, err, "the keyring cannot be asked: ")
	require.ErrorContains(t, err, "no such file")
	require.True(t, secret.IsAway(err))
}

// A keyring that waits for a person does not answer, and the library knows no limit.
func TestKeyring_StopsWaiting(t *testing.T) {
	dir, err := os.MkdirTemp("", "bus")
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", filepath.Join(dir, "bus"))
	require.NoError(t, err)
	var accepting sync.WaitGroup
	var mu sync.Mutex
	var accepted []net.Conn
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			accepted = append(accepted, conn)
			mu.Unlock()
		}
	})
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "bus"))
	store := keyring.New()
	for range 6 { // More than may wait at the same time.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := store.Resolve(ctx, "app/ann")
		cancel()
		require.EqualError(t, err, "the keyring has not answered; it may be locked and wait for a person: unlock it")
		require.True(t, secret.IsAway(err))
	}
	// Its end releases those that wait.
	require.NoError(t, listener.Close())
	accepting.Wait()
	mu.Lock()
	for _, conn := range accepted {
		_ = conn.Close()
	}
	mu.Unlock()
	_, err = store.Resolve(t.Context(), "app/ann")
	require.ErrorContains(t, err, "the keyring cannot be asked: ")
}
