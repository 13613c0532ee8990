package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// needed are the services that every connector has.
var needed = []grpc.ServiceDesc{
	connectorv2.ConnectorService_ServiceDesc,
	connectorv2.ResourceTypesService_ServiceDesc,
	connectorv2.ResourcesService_ServiceDesc,
	connectorv2.EntitlementsService_ServiceDesc,
	connectorv2.GrantsService_ServiceDesc,
}

// offered are the services that a connector may have.
var offered = []grpc.ServiceDesc{
	connectorv2.AccountManagerService_ServiceDesc,
	connectorv2.ActionService_ServiceDesc,
	connectorv2.AssetService_ServiceDesc,
	connectorv2.CredentialManagerService_ServiceDesc,
	connectorv2.EventService_ServiceDesc,
	connectorv2.GrantManagerService_ServiceDesc,
	connectorv2.ResourceDeleterService_ServiceDesc,
	connectorv2.ResourceGetterService_ServiceDesc,
	connectorv2.ResourceManagerService_ServiceDesc,
	connectorv2.TicketsService_ServiceDesc,
}

// optional is a method of a service that every connector has, and no plugin must.
const optional = "ListStaticEntitlements"

// notConfigured calls every method before there is a configuration.
func notConfigured(ctx context.Context, s *Suite) (string, error) {
	process, err := s.start(ctx)
	if err != nil {
		return "", err
	}
	var wrong []error
	called := 0
	for i, service := range slices.Concat(needed, offered) {
		for _, method := range service.Methods {
			name := service.ServiceName + "/" + method.MethodName
			err := process.Conn().Invoke(ctx, "/"+name, &emptypb.Empty{}, &emptypb.Empty{})
			called++
			wrong = append(wrong, wantNotConfigured(name, i < len(needed) && method.MethodName != optional, err))
		}
		for _, stream := range service.Streams {
			name := service.ServiceName + "/" + stream.StreamName
			called++
			wrong = append(wrong, wantNotConfigured(name, false, callStream(ctx, process.Conn(), &stream, "/"+name)))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d methods of %d services do", called, len(needed)+len(offered)), nil
}

func wantNotConfigured(name string, must bool, err error) error {
	code := status.Code(err)
	if code == codes.FailedPrecondition || !must && code == codes.Unimplemented {
		return nil
	}
	return fmt.Errorf("%s answers %s", name, code)
}

func callStream(ctx context.Context, conn grpc.ClientConnInterface, desc *grpc.StreamDesc, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, desc, name)
	if err != nil {
		return err
	}
	// What SendMsg returns for a call that has ended is io.EOF; RecvMsg has its status.
	_ = stream.SendMsg(&emptypb.Empty{})
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}

func validate(ctx context.Context, s *Suite) (string, error) {
	process, err := s.configured(ctx)
	if err != nil {
		return "", err
	}
	if _, err := connectorv2.NewConnectorServiceClient(process.Conn()).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{}); err != nil {
		return "", fmt.Errorf("its Validate fails: %w", plain(err))
	}
	return "Validate finds no fault with the credentials", nil
}
