//go:build unix && !darwin

package keyring

import (
	"errors"
	"fmt"
	"os"
)

// mayAsk reports whether there is a session bus. Where there is none, the library would start
// one that outlives the host, and that has no keyring.
func mayAsk() error {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return nil
	}
	for _, name := range []string{"bus", "dbus-session"} {
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/%s", os.Getuid(), name)); err == nil {
			return nil
		}
	}
	return errors.New("there is no session bus (D-Bus), by which a keyring is asked; start the host in the session of its user, or set DBUS_SESSION_BUS_ADDRESS")
}
