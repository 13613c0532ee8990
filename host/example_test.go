package host_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// A program that embeds a host opens a configuration, syncs, and reads the sync files.
func Example() {
	ctx := context.Background()
	config, dir, remove := exampleConfiguration()
	defer remove()

	h, err := host.Open(ctx, host.Selection{ConfigFile: config}, host.Options{Version: "v1.0.0", Secrets: host.PluginSecrets})
	if err != nil {
		panic(err)
	}
	defer h.Close(ctx)
	results, err := h.Sync(ctx, host.SyncOptions{OutputDir: dir})
	if err != nil {
		panic(err)
	}
	for _, result := range results {
		err := syncfile.Accounts(ctx, result.File, func(account syncfile.Account) error {
			_, err := fmt.Println(result.Upload, account.App, account.Login, account.Status)
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	// Output:
	// workforce fullstory samuel.achebe@fullstory.example.com enabled
	// workforce fullstory jorgen.aagaard@fullstory.example.com enabled
	// workforce fullstory mei.kowalski@fullstory.example.com enabled
}

// exampleConfiguration returns a configuration with one app of three accounts, and a
// directory for sync files.
func exampleConfiguration() (config, dir string, remove func()) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	server, err := scimsandbox.New(scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "token"})
	if err != nil {
		panic(err)
	}
	listener := httptest.NewServer(server)
	config = filepath.Join(dir, host.DefaultConfigFile)
	served := &app{url: listener.URL + server.BasePath(), token: "token"}
	text := "plugins:\n" + served.entry("fullstory") + "uploads:\n  workforce: { plugins: [fullstory] }\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return config, dir, func() {
		listener.Close()
		_ = os.RemoveAll(dir)
	}
}
