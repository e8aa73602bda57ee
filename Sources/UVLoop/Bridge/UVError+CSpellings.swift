// The C spellings, unavailable on purpose: whoever types EADDRINUSE is led to `addressInUse` by the compiler's fix-it,
// as in swift-system. (`EOF` and `UNKNOWN` are spelled as in libuv's own map.) One alias a code, hence the length.

extension UVError.Code {
  /// The C spelling of ``argListTooLong``.
  @available(*, unavailable, renamed: "argListTooLong")
  public static var E2BIG: Self { argListTooLong }

  /// The C spelling of ``permissionDenied``.
  @available(*, unavailable, renamed: "permissionDenied")
  public static var EACCES: Self { permissionDenied }

  /// The C spelling of ``addressInUse``.
  @available(*, unavailable, renamed: "addressInUse")
  public static var EADDRINUSE: Self { addressInUse }

  /// The C spelling of ``addressNotAvailable``.
  @available(*, unavailable, renamed: "addressNotAvailable")
  public static var EADDRNOTAVAIL: Self { addressNotAvailable }

  /// The C spelling of ``addressFamilyNotSupported``.
  @available(*, unavailable, renamed: "addressFamilyNotSupported")
  public static var EAFNOSUPPORT: Self { addressFamilyNotSupported }

  /// The C spelling of ``resourceTemporarilyUnavailable``.
  @available(*, unavailable, renamed: "resourceTemporarilyUnavailable")
  public static var EAGAIN: Self { resourceTemporarilyUnavailable }

  /// The C spelling of ``alreadyInProcess``.
  @available(*, unavailable, renamed: "alreadyInProcess")
  public static var EALREADY: Self { alreadyInProcess }

  /// The C spelling of ``badFileDescriptor``.
  @available(*, unavailable, renamed: "badFileDescriptor")
  public static var EBADF: Self { badFileDescriptor }

  /// The C spelling of ``resourceBusy``.
  @available(*, unavailable, renamed: "resourceBusy")
  public static var EBUSY: Self { resourceBusy }

  /// The C spelling of ``canceled``.
  @available(*, unavailable, renamed: "canceled")
  public static var ECANCELED: Self { canceled }

  /// The C spelling of ``connectionAbort``.
  @available(*, unavailable, renamed: "connectionAbort")
  public static var ECONNABORTED: Self { connectionAbort }

  /// The C spelling of ``connectionRefused``.
  @available(*, unavailable, renamed: "connectionRefused")
  public static var ECONNREFUSED: Self { connectionRefused }

  /// The C spelling of ``connectionReset``.
  @available(*, unavailable, renamed: "connectionReset")
  public static var ECONNRESET: Self { connectionReset }

  /// The C spelling of ``addressRequired``.
  @available(*, unavailable, renamed: "addressRequired")
  public static var EDESTADDRREQ: Self { addressRequired }

  /// The C spelling of ``fileExists``.
  @available(*, unavailable, renamed: "fileExists")
  public static var EEXIST: Self { fileExists }

  /// The C spelling of ``badAddress``.
  @available(*, unavailable, renamed: "badAddress")
  public static var EFAULT: Self { badAddress }

  /// The C spelling of ``fileTooLarge``.
  @available(*, unavailable, renamed: "fileTooLarge")
  public static var EFBIG: Self { fileTooLarge }

  /// The C spelling of ``noRouteToHost``.
  @available(*, unavailable, renamed: "noRouteToHost")
  public static var EHOSTUNREACH: Self { noRouteToHost }

  /// The C spelling of ``interrupted``.
  @available(*, unavailable, renamed: "interrupted")
  public static var EINTR: Self { interrupted }

  /// The C spelling of ``invalidArgument``.
  @available(*, unavailable, renamed: "invalidArgument")
  public static var EINVAL: Self { invalidArgument }

  /// The C spelling of ``ioError``.
  @available(*, unavailable, renamed: "ioError")
  public static var EIO: Self { ioError }

  /// The C spelling of ``socketIsConnected``.
  @available(*, unavailable, renamed: "socketIsConnected")
  public static var EISCONN: Self { socketIsConnected }

  /// The C spelling of ``isDirectory``.
  @available(*, unavailable, renamed: "isDirectory")
  public static var EISDIR: Self { isDirectory }

  /// The C spelling of ``tooManySymbolicLinkLevels``.
  @available(*, unavailable, renamed: "tooManySymbolicLinkLevels")
  public static var ELOOP: Self { tooManySymbolicLinkLevels }

  /// The C spelling of ``tooManyOpenFiles``.
  @available(*, unavailable, renamed: "tooManyOpenFiles")
  public static var EMFILE: Self { tooManyOpenFiles }

  /// The C spelling of ``messageTooLong``.
  @available(*, unavailable, renamed: "messageTooLong")
  public static var EMSGSIZE: Self { messageTooLong }

  /// The C spelling of ``fileNameTooLong``.
  @available(*, unavailable, renamed: "fileNameTooLong")
  public static var ENAMETOOLONG: Self { fileNameTooLong }

  /// The C spelling of ``networkDown``.
  @available(*, unavailable, renamed: "networkDown")
  public static var ENETDOWN: Self { networkDown }

  /// The C spelling of ``networkUnreachable``.
  @available(*, unavailable, renamed: "networkUnreachable")
  public static var ENETUNREACH: Self { networkUnreachable }

  /// The C spelling of ``tooManyOpenFilesInSystem``.
  @available(*, unavailable, renamed: "tooManyOpenFilesInSystem")
  public static var ENFILE: Self { tooManyOpenFilesInSystem }

  /// The C spelling of ``noBufferSpace``.
  @available(*, unavailable, renamed: "noBufferSpace")
  public static var ENOBUFS: Self { noBufferSpace }

  /// The C spelling of ``operationNotSupportedByDevice``.
  @available(*, unavailable, renamed: "operationNotSupportedByDevice")
  public static var ENODEV: Self { operationNotSupportedByDevice }

  /// The C spelling of ``noSuchFileOrDirectory``.
  @available(*, unavailable, renamed: "noSuchFileOrDirectory")
  public static var ENOENT: Self { noSuchFileOrDirectory }

  /// The C spelling of ``noMemory``.
  @available(*, unavailable, renamed: "noMemory")
  public static var ENOMEM: Self { noMemory }

  /// The C spelling of ``noNetwork``.
  @available(*, unavailable, renamed: "noNetwork")
  public static var ENONET: Self { noNetwork }

  /// The C spelling of ``protocolNotAvailable``.
  @available(*, unavailable, renamed: "protocolNotAvailable")
  public static var ENOPROTOOPT: Self { protocolNotAvailable }

  /// The C spelling of ``noSpace``.
  @available(*, unavailable, renamed: "noSpace")
  public static var ENOSPC: Self { noSpace }

  /// The C spelling of ``noFunction``.
  @available(*, unavailable, renamed: "noFunction")
  public static var ENOSYS: Self { noFunction }

  /// The C spelling of ``socketNotConnected``.
  @available(*, unavailable, renamed: "socketNotConnected")
  public static var ENOTCONN: Self { socketNotConnected }

  /// The C spelling of ``notDirectory``.
  @available(*, unavailable, renamed: "notDirectory")
  public static var ENOTDIR: Self { notDirectory }

  /// The C spelling of ``directoryNotEmpty``.
  @available(*, unavailable, renamed: "directoryNotEmpty")
  public static var ENOTEMPTY: Self { directoryNotEmpty }

  /// The C spelling of ``notSocket``.
  @available(*, unavailable, renamed: "notSocket")
  public static var ENOTSOCK: Self { notSocket }

  /// The C spelling of ``notSupported``.
  @available(*, unavailable, renamed: "notSupported")
  public static var ENOTSUP: Self { notSupported }

  /// The C spelling of ``overflow``.
  @available(*, unavailable, renamed: "overflow")
  public static var EOVERFLOW: Self { overflow }

  /// The C spelling of ``notPermitted``.
  @available(*, unavailable, renamed: "notPermitted")
  public static var EPERM: Self { notPermitted }

  /// The C spelling of ``brokenPipe``.
  @available(*, unavailable, renamed: "brokenPipe")
  public static var EPIPE: Self { brokenPipe }

  /// The C spelling of ``protocolError``.
  @available(*, unavailable, renamed: "protocolError")
  public static var EPROTO: Self { protocolError }

  /// The C spelling of ``protocolNotSupported``.
  @available(*, unavailable, renamed: "protocolNotSupported")
  public static var EPROTONOSUPPORT: Self { protocolNotSupported }

  /// The C spelling of ``protocolWrongTypeForSocket``.
  @available(*, unavailable, renamed: "protocolWrongTypeForSocket")
  public static var EPROTOTYPE: Self { protocolWrongTypeForSocket }

  /// The C spelling of ``outOfRange``.
  @available(*, unavailable, renamed: "outOfRange")
  public static var ERANGE: Self { outOfRange }

  /// The C spelling of ``readOnlyFileSystem``.
  @available(*, unavailable, renamed: "readOnlyFileSystem")
  public static var EROFS: Self { readOnlyFileSystem }

  /// The C spelling of ``socketShutdown``.
  @available(*, unavailable, renamed: "socketShutdown")
  public static var ESHUTDOWN: Self { socketShutdown }

  /// The C spelling of ``illegalSeek``.
  @available(*, unavailable, renamed: "illegalSeek")
  public static var ESPIPE: Self { illegalSeek }

  /// The C spelling of ``noSuchProcess``.
  @available(*, unavailable, renamed: "noSuchProcess")
  public static var ESRCH: Self { noSuchProcess }

  /// The C spelling of ``connectionTimedOut``.
  @available(*, unavailable, renamed: "connectionTimedOut")
  public static var ETIMEDOUT: Self { connectionTimedOut }

  /// The C spelling of ``textFileBusy``.
  @available(*, unavailable, renamed: "textFileBusy")
  public static var ETXTBSY: Self { textFileBusy }

  /// The C spelling of ``improperLink``.
  @available(*, unavailable, renamed: "improperLink")
  public static var EXDEV: Self { improperLink }

  /// The C spelling of ``noSuchAddressOrDevice``.
  @available(*, unavailable, renamed: "noSuchAddressOrDevice")
  public static var ENXIO: Self { noSuchAddressOrDevice }

  /// The C spelling of ``tooManyLinks``.
  @available(*, unavailable, renamed: "tooManyLinks")
  public static var EMLINK: Self { tooManyLinks }

  /// The C spelling of ``hostIsDown``.
  @available(*, unavailable, renamed: "hostIsDown")
  public static var EHOSTDOWN: Self { hostIsDown }

  /// The C spelling of ``remoteIOError``.
  @available(*, unavailable, renamed: "remoteIOError")
  public static var EREMOTEIO: Self { remoteIOError }

  /// The C spelling of ``inappropriateIOCTLForDevice``.
  @available(*, unavailable, renamed: "inappropriateIOCTLForDevice")
  public static var ENOTTY: Self { inappropriateIOCTLForDevice }

  /// The C spelling of ``badFileTypeOrFormat``.
  @available(*, unavailable, renamed: "badFileTypeOrFormat")
  public static var EFTYPE: Self { badFileTypeOrFormat }

  /// The C spelling of ``illegalByteSequence``.
  @available(*, unavailable, renamed: "illegalByteSequence")
  public static var EILSEQ: Self { illegalByteSequence }

  /// The C spelling of ``socketTypeNotSupported``.
  @available(*, unavailable, renamed: "socketTypeNotSupported")
  public static var ESOCKTNOSUPPORT: Self { socketTypeNotSupported }

  /// The C spelling of ``invalidCharset``.
  @available(*, unavailable, renamed: "invalidCharset")
  public static var ECHARSET: Self { invalidCharset }

  /// The C spelling of ``unknown``.
  @available(*, unavailable, renamed: "unknown")
  public static var UNKNOWN: Self { unknown }

  /// The C spelling of ``endOfFile``.
  @available(*, unavailable, renamed: "endOfFile")
  public static var EOF: Self { endOfFile }

  /// The C spelling of ``addressInfoAddressFamilyNotSupported``.
  @available(*, unavailable, renamed: "addressInfoAddressFamilyNotSupported")
  public static var EAI_ADDRFAMILY: Self { addressInfoAddressFamilyNotSupported }

  /// The C spelling of ``addressInfoTemporaryFailure``.
  @available(*, unavailable, renamed: "addressInfoTemporaryFailure")
  public static var EAI_AGAIN: Self { addressInfoTemporaryFailure }

  /// The C spelling of ``addressInfoBadFlags``.
  @available(*, unavailable, renamed: "addressInfoBadFlags")
  public static var EAI_BADFLAGS: Self { addressInfoBadFlags }

  /// The C spelling of ``addressInfoBadHints``.
  @available(*, unavailable, renamed: "addressInfoBadHints")
  public static var EAI_BADHINTS: Self { addressInfoBadHints }

  /// The C spelling of ``addressInfoCanceled``.
  @available(*, unavailable, renamed: "addressInfoCanceled")
  public static var EAI_CANCELED: Self { addressInfoCanceled }

  /// The C spelling of ``addressInfoPermanentFailure``.
  @available(*, unavailable, renamed: "addressInfoPermanentFailure")
  public static var EAI_FAIL: Self { addressInfoPermanentFailure }

  /// The C spelling of ``addressInfoFamilyNotSupported``.
  @available(*, unavailable, renamed: "addressInfoFamilyNotSupported")
  public static var EAI_FAMILY: Self { addressInfoFamilyNotSupported }

  /// The C spelling of ``addressInfoNoMemory``.
  @available(*, unavailable, renamed: "addressInfoNoMemory")
  public static var EAI_MEMORY: Self { addressInfoNoMemory }

  /// The C spelling of ``addressInfoNoData``.
  @available(*, unavailable, renamed: "addressInfoNoData")
  public static var EAI_NODATA: Self { addressInfoNoData }

  /// The C spelling of ``addressInfoUnknownName``.
  @available(*, unavailable, renamed: "addressInfoUnknownName")
  public static var EAI_NONAME: Self { addressInfoUnknownName }

  /// The C spelling of ``addressInfoOverflow``.
  @available(*, unavailable, renamed: "addressInfoOverflow")
  public static var EAI_OVERFLOW: Self { addressInfoOverflow }

  /// The C spelling of ``addressInfoProtocolUnknown``.
  @available(*, unavailable, renamed: "addressInfoProtocolUnknown")
  public static var EAI_PROTOCOL: Self { addressInfoProtocolUnknown }

  /// The C spelling of ``addressInfoServiceNotAvailable``.
  @available(*, unavailable, renamed: "addressInfoServiceNotAvailable")
  public static var EAI_SERVICE: Self { addressInfoServiceNotAvailable }

  /// The C spelling of ``addressInfoSocketTypeNotSupported``.
  @available(*, unavailable, renamed: "addressInfoSocketTypeNotSupported")
  public static var EAI_SOCKTYPE: Self { addressInfoSocketTypeNotSupported }
}
