package supervise

import (
	"context"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// offer serves the session store to the process and returns the request with where
// it is. A plugin that does not speak go-plugin's broker gets none, and refuses its
// configuration if it needs one.
func (p *Process) offer(ctx context.Context, request *pluginv1.ConfigureRequest) *pluginv1.ConfigureRequest {
	if p.connector != nil || p.spec.Sessions == nil {
		return request // An unmodified connector is offered it as the SDK does.
	}
	logged := ctxzap.ToContext(ctx, p.log.Named("sessions"))
	offered, err := p.client.OfferSessions(logged, request, p.spec.Sessions)
	if err != nil {
		p.log.Debug("the plugin is offered no session store", zap.Error(err))
		return request
	}
	return offered
}
