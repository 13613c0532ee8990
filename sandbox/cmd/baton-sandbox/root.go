package main

import (
	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "baton-sandbox",
		Short: "Stand-ins for the services that baton-host talks to",
		Long: `baton-sandbox runs stand-ins for the services that baton-host talks to, for
trying it out and for tests. They listen on loopback addresses only.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newSCIMCommand(), newC1Command())
	return root
}
