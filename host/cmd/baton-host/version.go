package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/plugin"
)

func newVersionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of the host and of what it is built with",
		Long: `Show the version of the host, the version of the protocol that it speaks with
plugins, the version of baton-sdk and of Go that it is built with, and the system
that it is built for.`,
		Example: `  baton-host version
  baton-host version --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeVersion(cmd.OutOrStdout(), output)
		},
	}
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON)
	return cmd
}

func writeVersion(w io.Writer, output string) error {
	if output == terminal.JSON {
		return terminal.WriteJSON(w, map[string]any{
			"version": version, "protocol": plugin.ProtocolVersion, "sdk_version": sdkVersion(),
			"go_version": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(w, "baton-host  %s\nprotocol    %d\nbaton-sdk   %s\ngo          %s\nplatform    %s\n",
		version, plugin.ProtocolVersion, sdkVersion(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return err
}

// sdkVersion returns the version of the SDK's module in this binary.
func sdkVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/conductorone/baton-sdk" {
			return module.Version
		}
	}
	return "unknown"
}
