// Command gen writes conf.gen.go, the struct of the configuration of baton-fullstory.
//
// `go generate` runs it. It must never be part of what is released.
package main

import (
	sdkconfig "github.com/conductorone/baton-sdk/pkg/config"

	"github.com/batonhost/baton-host/fullstory/config"
)

func main() {
	sdkconfig.Generate("fullstory", config.Schema)
}
