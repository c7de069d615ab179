#pragma once

#include <curl/curl.h>

#include "exchange.hpp"

namespace kn::kube::http {

/// libcurl's objects of one transfer; the owner frees them.
struct Handles {
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    curl_slist* connect_to = nullptr;
    char error_text[CURL_ERROR_SIZE] = {};
};

template <class T> void set(CURL* easy, CURLoption option, T value) { (void)curl_easy_setopt(easy, option, value); }

void curl_global_once();
/// Detection of dead peers by TCP.
int set_socket_options(curl_socket_t fd, curlsocktype purpose);
/// Proxy, TLS, time limit of the connection and detection of dead peers: all but the URL. `spec.tls` must outlive the handle.
void set_connection(Handles& handles, const ConnectionSpec& spec);
/// libcurl's failure in our words; `applied` is left to the caller.
Error connection_error(const Handles& handles, CURLcode code, const ExchangeSpec& spec);

}  // namespace kn::kube::http
