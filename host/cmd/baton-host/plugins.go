package main

import (
	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

func newPluginsCommand(root *rootOptions) *cobra.Command {
	var configFile, output string
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Show which plugin binaries are configured and found, and where",
		Long: `Show which plugin binaries are configured and found, and where. None of them is
started; what one is and takes is shown by "baton-host inspect APP".

A binary named baton-APP serves the app APP. It is looked for in the directories
given by --plugin-dir, then in the plugin-dirs of the configuration file, then
beside baton-host itself, then along PATH; the first one is used. The plugins of
the configuration come first, also those whose entry names their program.`,
		Example: `  baton-host plugins
  baton-host plugins --config baton-host.yaml
  baton-host plugins --plugin-dir ./bin --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			programs, isConfigured, err := host.Programs(cmd.Context(), configFile, root.hostOptions(cmd.Context(), host.NoSecrets))
			if err != nil {
				return err
			}
			return show.Programs(cmd.OutOrStdout(), output, programs, isConfigured)
		},
	}
	cmd.Flags().StringVarP(&configFile, "config", "c", "", "the configuration file (default "+host.DefaultConfigFile+" if there is one)")
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON, terminal.CSV)
	return cmd
}
