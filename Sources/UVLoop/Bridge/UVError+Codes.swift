// Every code of libuv 1.44's UV_ERRNO_MAP, and ours.
//
// libuv's codes carry the names that swift-system has for the same errno, so that a reader learns one vocabulary. The
// one exception is ETIMEDOUT: its name there, `timedOut`, is needed for the limits that callers of this package set.
// The constants are taken from the header, never written as numbers: an errno differs between systems, and libuv
// invents a number below -3000 where a system lacks one.
//
// Ours lie below -5000: libuv's own go no deeper than -4095 (UV_EOF).

internal import CLibUV

extension UVError.Code {
  // MARK: Ours

  /// The loop has begun its shutdown, or ended: it takes no new work, and what still waited on it was let go.
  public static let loopClosed = Self(rawValue: -5001)

  /// The handle was used after its `close`. One that the loop's shutdown has closed answers ``loopClosed``.
  public static let handleClosed = Self(rawValue: -5002)

  /// The call needs a loop's own thread, and came from another one; the message names it.
  public static let notOnLoop = Self(rawValue: -5003)

  /// A blocking call would have waited, directly or round a circle, for the thread that it blocks.
  public static let wouldDeadlock = Self(rawValue: -5004)

  /// A limit that the caller set ran out; ``connectionTimedOut`` is the system's own.
  public static let timedOut = Self(rawValue: -5005)

  /// What was asked for is in use or has begun, and cannot be had a second time; ``resourceBusy`` is the system's own.
  public static let busy = Self(rawValue: -5006)

  /// A write was cut in the middle, so that nothing more can follow it on this stream.
  public static let tornWrite = Self(rawValue: -5007)

  /// The pool has been shut down: it takes no new calls, and what waited for it when the time was over was let go.
  public static let poolClosed = Self(rawValue: -5012)

  // MARK: The system's

  /// The argument list is too long: `UV_E2BIG`.
  public static let argListTooLong = Self(UV_E2BIG)

  /// The permissions of a file or address forbid the access: `UV_EACCES`.
  public static let permissionDenied = Self(UV_EACCES)

  /// Another socket already uses the address: `UV_EADDRINUSE`.
  public static let addressInUse = Self(UV_EADDRINUSE)

  /// This machine does not have the address: `UV_EADDRNOTAVAIL`.
  public static let addressNotAvailable = Self(UV_EADDRNOTAVAIL)

  /// The address family does not fit the protocol: `UV_EAFNOSUPPORT`.
  public static let addressFamilyNotSupported = Self(UV_EAFNOSUPPORT)

  /// The resource is not ready now; a later attempt may succeed: `UV_EAGAIN`.
  public static let resourceTemporarilyUnavailable = Self(UV_EAGAIN)

  /// An operation of this kind is already under way: `UV_EALREADY`.
  public static let alreadyInProcess = Self(UV_EALREADY)

  /// The descriptor is not open, or not of the kind that the call needs: `UV_EBADF`.
  public static let badFileDescriptor = Self(UV_EBADF)

  /// Something still uses the resource: `UV_EBUSY`.
  public static let resourceBusy = Self(UV_EBUSY)

  /// The request was cancelled before it ran: `UV_ECANCELED`.
  public static let canceled = Self(UV_ECANCELED)

  /// This machine gave the connection up: `UV_ECONNABORTED`.
  public static let connectionAbort = Self(UV_ECONNABORTED)

  /// Nobody listens at the address: `UV_ECONNREFUSED`.
  public static let connectionRefused = Self(UV_ECONNREFUSED)

  /// The peer cut the connection: `UV_ECONNRESET`.
  public static let connectionReset = Self(UV_ECONNRESET)

  /// The socket needs a destination address: `UV_EDESTADDRREQ`.
  public static let addressRequired = Self(UV_EDESTADDRREQ)

  /// The file, or the registration of the descriptor, exists already: `UV_EEXIST`.
  public static let fileExists = Self(UV_EEXIST)

  /// A pointer given to the system is not valid: `UV_EFAULT`.
  public static let badAddress = Self(UV_EFAULT)

  /// The file would grow past the limit: `UV_EFBIG`.
  public static let fileTooLarge = Self(UV_EFBIG)

  /// No route leads to the host: `UV_EHOSTUNREACH`.
  public static let noRouteToHost = Self(UV_EHOSTUNREACH)

  /// A signal interrupted the call: `UV_EINTR`.
  public static let interrupted = Self(UV_EINTR)

  /// An argument has a value that the call refuses; the message says which and why: `UV_EINVAL`.
  public static let invalidArgument = Self(UV_EINVAL)

  /// The device failed to read or to write: `UV_EIO`.
  public static let ioError = Self(UV_EIO)

  /// The socket is connected already: `UV_EISCONN`.
  public static let socketIsConnected = Self(UV_EISCONN)

  /// The path names a directory: `UV_EISDIR`.
  public static let isDirectory = Self(UV_EISDIR)

  /// The path leads through too many symbolic links: `UV_ELOOP`.
  public static let tooManySymbolicLinkLevels = Self(UV_ELOOP)

  /// This process has no free file descriptor left: `UV_EMFILE`.
  public static let tooManyOpenFiles = Self(UV_EMFILE)

  /// The message does not fit into one datagram: `UV_EMSGSIZE`.
  public static let messageTooLong = Self(UV_EMSGSIZE)

  /// The name is longer than the system allows: `UV_ENAMETOOLONG`.
  public static let fileNameTooLong = Self(UV_ENAMETOOLONG)

  /// The network interface is down: `UV_ENETDOWN`.
  public static let networkDown = Self(UV_ENETDOWN)

  /// No route leads to the network: `UV_ENETUNREACH`.
  public static let networkUnreachable = Self(UV_ENETUNREACH)

  /// The whole system has no free file descriptor left: `UV_ENFILE`.
  public static let tooManyOpenFilesInSystem = Self(UV_ENFILE)

  /// The buffer, or the system's buffers, are too small: `UV_ENOBUFS`.
  public static let noBufferSpace = Self(UV_ENOBUFS)

  /// There is no such device, or it cannot do this: `UV_ENODEV`.
  public static let operationNotSupportedByDevice = Self(UV_ENODEV)

  /// The path names nothing: `UV_ENOENT`.
  public static let noSuchFileOrDirectory = Self(UV_ENOENT)

  /// The system has no memory to give: `UV_ENOMEM`.
  public static let noMemory = Self(UV_ENOMEM)

  /// This machine is on no network: `UV_ENONET`.
  public static let noNetwork = Self(UV_ENONET)

  /// The protocol does not have this option: `UV_ENOPROTOOPT`.
  public static let protocolNotAvailable = Self(UV_ENOPROTOOPT)

  /// The device is full: `UV_ENOSPC`.
  public static let noSpace = Self(UV_ENOSPC)

  /// The system does not have this function: `UV_ENOSYS`.
  public static let noFunction = Self(UV_ENOSYS)

  /// The socket is not connected: `UV_ENOTCONN`.
  public static let socketNotConnected = Self(UV_ENOTCONN)

  /// A part of the path is not a directory: `UV_ENOTDIR`.
  public static let notDirectory = Self(UV_ENOTDIR)

  /// The directory still has entries: `UV_ENOTEMPTY`.
  public static let directoryNotEmpty = Self(UV_ENOTEMPTY)

  /// The descriptor is not a socket: `UV_ENOTSOCK`.
  public static let notSocket = Self(UV_ENOTSOCK)

  /// The object does not support the operation: `UV_ENOTSUP`.
  public static let notSupported = Self(UV_ENOTSUP)

  /// The value does not fit into its type: `UV_EOVERFLOW`.
  public static let overflow = Self(UV_EOVERFLOW)

  /// The operation needs a privilege, or the descriptor's kind cannot do it: `UV_EPERM`.
  public static let notPermitted = Self(UV_EPERM)

  /// Nobody reads the other end any more: `UV_EPIPE`.
  public static let brokenPipe = Self(UV_EPIPE)

  /// The peer broke the protocol: `UV_EPROTO`.
  public static let protocolError = Self(UV_EPROTO)

  /// The system does not have this protocol: `UV_EPROTONOSUPPORT`.
  public static let protocolNotSupported = Self(UV_EPROTONOSUPPORT)

  /// The protocol does not fit the socket's type: `UV_EPROTOTYPE`.
  public static let protocolWrongTypeForSocket = Self(UV_EPROTOTYPE)

  /// The result is out of range: `UV_ERANGE`.
  public static let outOfRange = Self(UV_ERANGE)

  /// The file system is read-only: `UV_EROFS`.
  public static let readOnlyFileSystem = Self(UV_EROFS)

  /// The sending side of the socket is shut down: `UV_ESHUTDOWN`.
  public static let socketShutdown = Self(UV_ESHUTDOWN)

  /// The descriptor has no position to seek: `UV_ESPIPE`.
  public static let illegalSeek = Self(UV_ESPIPE)

  /// There is no such process: `UV_ESRCH`.
  public static let noSuchProcess = Self(UV_ESRCH)

  /// The system gave up waiting for the peer; ``timedOut`` is a limit of the caller's: `UV_ETIMEDOUT`.
  public static let connectionTimedOut = Self(UV_ETIMEDOUT)

  /// The program file is running, or open for writing: `UV_ETXTBSY`.
  public static let textFileBusy = Self(UV_ETXTBSY)

  /// The two paths are on different file systems: `UV_EXDEV`.
  public static let improperLink = Self(UV_EXDEV)

  /// There is no such device or address: `UV_ENXIO`.
  public static let noSuchAddressOrDevice = Self(UV_ENXIO)

  /// The file has too many links: `UV_EMLINK`.
  public static let tooManyLinks = Self(UV_EMLINK)

  /// The host is down: `UV_EHOSTDOWN`.
  public static let hostIsDown = Self(UV_EHOSTDOWN)

  /// The remote device failed to read or to write: `UV_EREMOTEIO`.
  public static let remoteIOError = Self(UV_EREMOTEIO)

  /// The descriptor is not a terminal, or the device lacks the operation: `UV_ENOTTY`.
  public static let inappropriateIOCTLForDevice = Self(UV_ENOTTY)

  /// The file has the wrong type or format: `UV_EFTYPE`.
  public static let badFileTypeOrFormat = Self(UV_EFTYPE)

  /// The bytes are not a valid character sequence: `UV_EILSEQ`.
  public static let illegalByteSequence = Self(UV_EILSEQ)

  /// The address family does not have this socket type: `UV_ESOCKTNOSUPPORT`.
  public static let socketTypeNotSupported = Self(UV_ESOCKTNOSUPPORT)

  // MARK: libuv's own

  /// The text is not valid Unicode: `UV_ECHARSET`.
  public static let invalidCharset = Self(UV_ECHARSET)

  /// libuv could not tell what went wrong: `UV_UNKNOWN`.
  public static let unknown = Self(UV_UNKNOWN)

  /// There is nothing more to read: `UV_EOF`.
  public static let endOfFile = Self(UV_EOF)

  // MARK: Name look-ups

  /// The host has no address of the family asked for: `UV_EAI_ADDRFAMILY`.
  public static let addressInfoAddressFamilyNotSupported = Self(UV_EAI_ADDRFAMILY)

  /// The name server gave no answer for now; a later attempt may succeed: `UV_EAI_AGAIN`.
  public static let addressInfoTemporaryFailure = Self(UV_EAI_AGAIN)

  /// The flags of the look-up are not valid: `UV_EAI_BADFLAGS`.
  public static let addressInfoBadFlags = Self(UV_EAI_BADFLAGS)

  /// The hints of the look-up are not valid: `UV_EAI_BADHINTS`.
  public static let addressInfoBadHints = Self(UV_EAI_BADHINTS)

  /// The look-up was cancelled before it ran: `UV_EAI_CANCELED`.
  public static let addressInfoCanceled = Self(UV_EAI_CANCELED)

  /// The name server refused for good: `UV_EAI_FAIL`.
  public static let addressInfoPermanentFailure = Self(UV_EAI_FAIL)

  /// The look-up does not know the address family: `UV_EAI_FAMILY`.
  public static let addressInfoFamilyNotSupported = Self(UV_EAI_FAMILY)

  /// The look-up found no memory: `UV_EAI_MEMORY`.
  public static let addressInfoNoMemory = Self(UV_EAI_MEMORY)

  /// The name exists and has no address: `UV_EAI_NODATA`.
  public static let addressInfoNoData = Self(UV_EAI_NODATA)

  /// Neither the node nor the service is known: `UV_EAI_NONAME`.
  public static let addressInfoUnknownName = Self(UV_EAI_NONAME)

  /// The result does not fit into the buffer: `UV_EAI_OVERFLOW`.
  public static let addressInfoOverflow = Self(UV_EAI_OVERFLOW)

  /// The protocol that was found is not known: `UV_EAI_PROTOCOL`.
  public static let addressInfoProtocolUnknown = Self(UV_EAI_PROTOCOL)

  /// The socket type does not have the service: `UV_EAI_SERVICE`.
  public static let addressInfoServiceNotAvailable = Self(UV_EAI_SERVICE)

  /// The look-up does not know the socket type: `UV_EAI_SOCKTYPE`.
  public static let addressInfoSocketTypeNotSupported = Self(UV_EAI_SOCKTYPE)
}
