package host_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// A program that embeds a host opens a configuration and syncs. The sync files are the SDK's.
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
		fmt.Println(result.Upload, filepath.Base(result.File), result.Accounts, result.Evidence["fullstory"].Grade)
	}
	// Output: workforce workforce.c1z map[fullstory:3] proven
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
