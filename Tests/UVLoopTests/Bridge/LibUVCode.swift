// Every code that libuv 1.44 names, with the name that its own header gives it.

import CLibUV
import Testing

@testable import UVLoop

/// One row of libuv's UV_ERRNO_MAP: our constant, libuv's number and libuv's name.
struct LibUVCode: Sendable, CustomTestStringConvertible {
  let code: UVError.Code
  let status: Int32
  let name: String

  init(_ code: UVError.Code, _ status: uv_errno_t, _ name: String) {
    self.code = code
    self.status = Int32(status.rawValue)
    self.name = name
  }

  var testDescription: String { name }

  static let all: [LibUVCode] = [
    .init(.argListTooLong, UV_E2BIG, "E2BIG"),
    .init(.permissionDenied, UV_EACCES, "EACCES"),
    .init(.addressInUse, UV_EADDRINUSE, "EADDRINUSE"),
    .init(.addressNotAvailable, UV_EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    .init(.addressFamilyNotSupported, UV_EAFNOSUPPORT, "EAFNOSUPPORT"),
    .init(.resourceTemporarilyUnavailable, UV_EAGAIN, "EAGAIN"),
    .init(.alreadyInProcess, UV_EALREADY, "EALREADY"),
    .init(.badFileDescriptor, UV_EBADF, "EBADF"),
    .init(.resourceBusy, UV_EBUSY, "EBUSY"),
    .init(.canceled, UV_ECANCELED, "ECANCELED"),
    .init(.invalidCharset, UV_ECHARSET, "ECHARSET"),
    .init(.connectionAbort, UV_ECONNABORTED, "ECONNABORTED"),
    .init(.connectionRefused, UV_ECONNREFUSED, "ECONNREFUSED"),
    .init(.connectionReset, UV_ECONNRESET, "ECONNRESET"),
    .init(.addressRequired, UV_EDESTADDRREQ, "EDESTADDRREQ"),
    .init(.fileExists, UV_EEXIST, "EEXIST"),
    .init(.badAddress, UV_EFAULT, "EFAULT"),
    .init(.fileTooLarge, UV_EFBIG, "EFBIG"),
    .init(.noRouteToHost, UV_EHOSTUNREACH, "EHOSTUNREACH"),
    .init(.interrupted, UV_EINTR, "EINTR"),
    .init(.invalidArgument, UV_EINVAL, "EINVAL"),
    .init(.ioError, UV_EIO, "EIO"),
    .init(.socketIsConnected, UV_EISCONN, "EISCONN"),
    .init(.isDirectory, UV_EISDIR, "EISDIR"),
    .init(.tooManySymbolicLinkLevels, UV_ELOOP, "ELOOP"),
    .init(.tooManyOpenFiles, UV_EMFILE, "EMFILE"),
    .init(.messageTooLong, UV_EMSGSIZE, "EMSGSIZE"),
    .init(.fileNameTooLong, UV_ENAMETOOLONG, "ENAMETOOLONG"),
    .init(.networkDown, UV_ENETDOWN, "ENETDOWN"),
    .init(.networkUnreachable, UV_ENETUNREACH, "ENETUNREACH"),
    .init(.tooManyOpenFilesInSystem, UV_ENFILE, "ENFILE"),
    .init(.noBufferSpace, UV_ENOBUFS, "ENOBUFS"),
    .init(.operationNotSupportedByDevice, UV_ENODEV, "ENODEV"),
    .init(.noSuchFileOrDirectory, UV_ENOENT, "ENOENT"),
    .init(.noMemory, UV_ENOMEM, "ENOMEM"),
    .init(.noNetwork, UV_ENONET, "ENONET"),
    .init(.protocolNotAvailable, UV_ENOPROTOOPT, "ENOPROTOOPT"),
    .init(.noSpace, UV_ENOSPC, "ENOSPC"),
    .init(.noFunction, UV_ENOSYS, "ENOSYS"),
    .init(.socketNotConnected, UV_ENOTCONN, "ENOTCONN"),
    .init(.notDirectory, UV_ENOTDIR, "ENOTDIR"),
    .init(.directoryNotEmpty, UV_ENOTEMPTY, "ENOTEMPTY"),
    .init(.notSocket, UV_ENOTSOCK, "ENOTSOCK"),
    .init(.notSupported, UV_ENOTSUP, "ENOTSUP"),
    .init(.overflow, UV_EOVERFLOW, "EOVERFLOW"),
    .init(.notPermitted, UV_EPERM, "EPERM"),
    .init(.brokenPipe, UV_EPIPE, "EPIPE"),
    .init(.protocolError, UV_EPROTO, "EPROTO"),
    .init(.protocolNotSupported, UV_EPROTONOSUPPORT, "EPROTONOSUPPORT"),
    .init(.protocolWrongTypeForSocket, UV_EPROTOTYPE, "EPROTOTYPE"),
    .init(.outOfRange, UV_ERANGE, "ERANGE"),
    .init(.readOnlyFileSystem, UV_EROFS, "EROFS"),
    .init(.socketShutdown, UV_ESHUTDOWN, "ESHUTDOWN"),
    .init(.illegalSeek, UV_ESPIPE, "ESPIPE"),
    .init(.noSuchProcess, UV_ESRCH, "ESRCH"),
    .init(.connectionTimedOut, UV_ETIMEDOUT, "ETIMEDOUT"),
    .init(.textFileBusy, UV_ETXTBSY, "ETXTBSY"),
    .init(.improperLink, UV_EXDEV, "EXDEV"),
    .init(.unknown, UV_UNKNOWN, "UNKNOWN"),
    .init(.endOfFile, UV_EOF, "EOF"),
    .init(.noSuchAddressOrDevice, UV_ENXIO, "ENXIO"),
    .init(.tooManyLinks, UV_EMLINK, "EMLINK"),
    .init(.hostIsDown, UV_EHOSTDOWN, "EHOSTDOWN"),
    .init(.remoteIOError, UV_EREMOTEIO, "EREMOTEIO"),
    .init(.inappropriateIOCTLForDevice, UV_ENOTTY, "ENOTTY"),
    .init(.badFileTypeOrFormat, UV_EFTYPE, "EFTYPE"),
    .init(.illegalByteSequence, UV_EILSEQ, "EILSEQ"),
    .init(.socketTypeNotSupported, UV_ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
    .init(.addressInfoAddressFamilyNotSupported, UV_EAI_ADDRFAMILY, "EAI_ADDRFAMILY"),
    .init(.addressInfoTemporaryFailure, UV_EAI_AGAIN, "EAI_AGAIN"),
    .init(.addressInfoBadFlags, UV_EAI_BADFLAGS, "EAI_BADFLAGS"),
    .init(.addressInfoBadHints, UV_EAI_BADHINTS, "EAI_BADHINTS"),
    .init(.addressInfoCanceled, UV_EAI_CANCELED, "EAI_CANCELED"),
    .init(.addressInfoPermanentFailure, UV_EAI_FAIL, "EAI_FAIL"),
    .init(.addressInfoFamilyNotSupported, UV_EAI_FAMILY, "EAI_FAMILY"),
    .init(.addressInfoNoMemory, UV_EAI_MEMORY, "EAI_MEMORY"),
    .init(.addressInfoNoData, UV_EAI_NODATA, "EAI_NODATA"),
    .init(.addressInfoUnknownName, UV_EAI_NONAME, "EAI_NONAME"),
    .init(.addressInfoOverflow, UV_EAI_OVERFLOW, "EAI_OVERFLOW"),
    .init(.addressInfoProtocolUnknown, UV_EAI_PROTOCOL, "EAI_PROTOCOL"),
    .init(.addressInfoServiceNotAvailable, UV_EAI_SERVICE, "EAI_SERVICE"),
    .init(.addressInfoSocketTypeNotSupported, UV_EAI_SOCKTYPE, "EAI_SOCKTYPE"),
  ]
}
